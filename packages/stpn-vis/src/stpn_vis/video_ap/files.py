"""Annotations and results of YouTube-VIS and OVIS, read into tracks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stpn_core.errors import InputError
from stpn_vis.rle import as_rle
from stpn_vis.video_ap.tracks import Track, Truth, mean_area, occlusion_level


def read_truth(source: str | Path | Mapping[str, Any]) -> Truth:
    """Annotated tracks of a YouTube-VIS or OVIS file, or of its parsed content.

    A track's area is the mean of the file's non-zero `areas`, whatever its masks say, as in the
    benchmark. Annotation ids play no part, so that one of 0, which the original evaluator takes for
    "unmatched", counts like any other. Raises InputError if annotations are missing (those of the
    official validation sets are not public) or malformed.
    """
    content, name = _load(source, "annotations")
    if not isinstance(content, Mapping) or not isinstance(content.get("videos"), list):
        raise InputError(f"{name}: not a YouTube-VIS file: no list of videos")
    if content.get("annotations") is None:
        raise InputError(
            f"{name}: holds no annotations, so there is nothing to compare with; hold out a part of "
            "the training videos instead, or submit to the benchmark's server"
        )
    videos = {video["id"]: video for video in content["videos"]}
    tracks = []
    for row in content["annotations"]:
        where = f"{name}: annotation {row.get('id')}"
        video = videos.get(row.get("video_id"))
        if video is None:
            raise InputError(f"{where}: its video {row.get('video_id')} is not in the file")
        size = (row.get("height", video["height"]), row.get("width", video["width"]))
        masks = tuple(as_rle(one, *size, where) for one in row["segmentations"])
        areas = [one for one in row["areas"] if one] if "areas" in row else None
        tracks.append(
            Track(
                row["video_id"],
                row["category_id"],
                masks,
                mean_area(masks) if areas is None else (sum(areas) / len(areas) if areas else 0.0),
                crowd=bool(row.get("iscrowd", 0)),
                occlusion=occlusion_level(row["occlusion"]) if "occlusion" in row else None,
            )
        )
    categories = tuple(sorted(category["id"] for category in content["categories"]))
    return Truth(tuple(tracks), tuple(sorted(videos)), categories)


def read_results(
    source: str | Path | Sequence[Mapping[str, Any]], truth: Truth | None = None
) -> list[Track]:
    """Tracks of a results file, or of its parsed content; an empty list is one, too.

    truth: names the videos there are; a result for another one raises InputError, as does a
    malformed one.
    """
    content, name = _load(source, "results")
    if not isinstance(content, list):
        raise InputError(f"{name}: results are a list, not {type(content).__name__}")
    found = []
    for number, row in enumerate(content):
        where = f"{name}: result {number}"
        try:
            video, category, score = row["video_id"], row["category_id"], float(row["score"])
            masks = tuple(as_rle(one, 0, 0, where) for one in row["segmentations"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{where}: needs video_id, category_id, score and segmentations ({error!r})"
            ) from error
        if not math.isfinite(score):
            raise InputError(f"{where}: its score is {score}")
        if truth is not None and video not in truth.videos:
            raise InputError(f"{where}: video {video} is not in the annotations")
        found.append(Track(video, category, masks, mean_area(masks), score))
    return found


def _load(source: Any, what: str) -> tuple[Any, str]:
    if not isinstance(source, str | Path):
        return source, what
    try:
        return json.loads(Path(source).read_text(encoding="utf-8")), str(source)
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be read as {what}: {error}") from error
