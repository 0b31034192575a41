"""What a data set holds, counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from stpn_data.check import splits_of
from stpn_data.datasets import open_dataset
from stpn_data.index import ABSENT, VideoIndex
from stpn_data.layouts import Format
from stpn_data.masks import OCCLUSION, OCCLUSIONS, Masks

_SMALL, _MEDIUM = 32**2, 96**2  # areas that bound COCO's small and medium objects
_MOST_SIZES = 5


def describe(path: Path, split: str | None = None, format: Format = "auto") -> dict[str, Any]:
    """Counts for each split, ready for JSON. Raises DataError as `open_dataset` does."""
    return {
        "path": str(path),
        "splits": {
            name: _split(open_dataset(path, name, format=format), layout.format)
            for name, layout in splits_of(path, split, format)
        },
    }


def describe_text(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [found["path"]]
    for name, split in found["splits"].items():
        lines.append(
            f"\n{name} ({split['format']}): {split['videos']} videos, {split['frames']} frames "
            f"({split['annotated']} annotated, {split['missing']} missing), {split['keys']} key frames"
        )
        shortest, median, longest = split["video_lengths"]
        lines.append(f"  frames in a video: {shortest} to {longest}, median {median}")
        for size, count in split["sizes"].items():
            lines.append(f"  {size}: {count} frames")
        areas = ", ".join(f"{count} {kind}" for kind, count in split["areas"].items())
        lines.append(f"  {split['boxes']} boxes ({areas}), {split['tracks']} tracks")
        if hidden := split["not_visible"]:
            lines.append(f"  {hidden} of these boxes are of targets that are not to be seen")
        if masks := split.get("masks"):
            levels = ", ".join(f"{n} {name}" for name, n in masks["occlusion"].items())
            lines.append(
                f"  {masks['masks']} masks ({masks['bytes']:,} bytes), {masks['instances']} objects "
                f"({masks['crowds']} crowds, {masks['never_visible']} never visible), "
                f"{masks['frames_without']} annotated frames without an object"
                + (f", occlusion: {levels}" if levels else "")
            )
        lines += [f"  {'class':24}{'boxes':>9}{'tracks':>9}"] if split["classes"] else []
        for label, (boxes, tracks) in split["classes"].items():
            lines.append(f"  {label:24}{boxes:>9}{tracks:>9}")
        lines += [f"  note: {note}" for note in split["notes"]]
    return "\n".join(lines)


def _split(index: VideoIndex, format: str) -> dict[str, Any]:
    lengths = np.diff(index.video_start)
    sizes = Counter(f"{w}×{h}" if w else "size not annotated" for w, h in index.sizes.tolist())
    sides = index.boxes[:, 2:] - index.boxes[:, :2]
    area = sides.prod(axis=1)
    owner = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    video = np.searchsorted(index.video_start, owner, side="right") - 1
    known = index.tracks >= 0
    tracks = np.unique(
        np.stack([video[known], index.tracks[known], index.labels[known]], axis=1), axis=0
    )
    boxes_of = np.bincount(index.labels, minlength=len(index.classes))
    tracks_of = np.bincount(tracks[:, 2], minlength=len(index.classes))
    return {
        "format": format,
        "videos": index.num_videos,
        "frames": index.num_frames,
        "annotated": int(index.annotated.sum()),
        "missing": int((~index.present).sum()),
        "keys": len(index.keys),
        "video_lengths": [int(lengths.min()), int(np.median(lengths)), int(lengths.max())],
        "sizes": dict(sizes.most_common(_MOST_SIZES)),
        "boxes": len(index.boxes),
        "tracks": len(tracks),
        "not_visible": int((index.flags & ABSENT > 0).sum()),
        "areas": {
            "small": int((area < _SMALL).sum()),
            "medium": int(((area >= _SMALL) & (area < _MEDIUM)).sum()),
            "large": int((area >= _MEDIUM).sum()),
        },
        "classes": {
            name: [int(boxes_of[i]), int(tracks_of[i])] for i, name in enumerate(index.classes)
        },
        "notes": list(index.notes),
    } | ({} if index.masks is None else {"masks": _masks(index, index.masks)})


def _masks(index: VideoIndex, masks: Masks) -> dict[str, Any]:
    levels = Counter((index.flags // OCCLUSION & 3).tolist())
    video = np.searchsorted(
        index.video_start, np.repeat(np.arange(index.num_frames), np.diff(index.box_start)), "right"
    )
    visible = set(zip((video - 1).tolist(), index.tracks.tolist(), strict=True))
    all_of_them = {(video, track) for video, track in masks.instances[:, :2].tolist()}
    return {
        "masks": len(index.boxes),
        "bytes": len(masks.counts),
        "instances": len(masks.instances),
        "crowds": int(masks.instances[:, 3].sum()),
        "never_visible": len(all_of_them - visible),
        "frames_without": int((index.annotated & (np.diff(index.box_start) == 0)).sum()),
        "occlusion": {name: levels[i] for i, name in enumerate(OCCLUSIONS) if name and levels[i]},
    }
