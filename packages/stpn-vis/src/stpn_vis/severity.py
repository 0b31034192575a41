"""Mask AP by how badly frames are degraded, for data that says so (`stpn data synthesize`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.synthesize import SEVERITY_BINS, severity_bin, severity_of
from stpn_vis.video_ap import Track, Truth, video_ap
from stpn_vis.video_ap.tracks import mean_area


def severities(index: VideoIndex, root: str | Path) -> list[list[float]]:
    """Severity of every frame of each video of `index`, which was read from the data at `root`.

    Raises DataError if the data does not record it.
    """
    recorded = {"/".join(name.split("/")[1:]): value for name, value in severity_of(root).items()}
    found = []
    for video in range(index.num_videos):
        frames = [
            f"{index.video_names[video].split('/')[-1]}/{t:06d}"
            for t in range(len(index.frames_of(video)))
        ]
        missing = [name for name in frames if name not in recorded]
        if missing:
            raise DataError(f"{root}: no severity is recorded for frame {missing[0]}")
        found.append([float(recorded[name][1]) for name in frames])
    return found


def ap_by_severity(
    truth: Truth, found: Sequence[Track], severity: Mapping[int, Sequence[float]]
) -> dict[str, dict[str, float]]:
    """The metric's numbers on the frames of each bin alone, with `frames`, the number of them.

    severity: of each frame, by id of the video. Every track, annotated or found, is cut down to the
    frames of the bin; one that has no mask there plays no part. Bins without an object are left out.
    """
    numbers: dict[str, dict[str, float]] = {}
    for name in SEVERITY_BINS:
        chosen = {
            video: {t for t, value in enumerate(values) if severity_bin(value) == name}
            for video, values in severity.items()
        }
        wanted = dataclasses.replace(truth, tracks=tuple(_cut(truth.tracks, chosen)))
        if not wanted.tracks:
            continue
        values = video_ap(wanted, _cut(found, chosen)).numbers
        numbers[name] = {"frames": float(sum(map(len, chosen.values()))), **values}
    return numbers


def _cut(tracks: Sequence[Track], chosen: Mapping[int, Collection[int]]) -> list[Track]:
    kept = []
    for track in tracks:
        frames = chosen.get(track.video, ())
        masks = tuple(mask if t in frames else None for t, mask in enumerate(track.masks))
        area = mean_area(masks)
        if area:
            kept.append(dataclasses.replace(track, masks=masks, area=area))
    return kept
