"""A small data set in YouTube-VIS's JSON: rectangles that are white in the frames, as masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stpn_data import rle

SIZE = (64, 48)  # width, height
CATEGORIES = [{"id": 7, "name": "fish"}, {"id": 3, "name": "owl"}]  # owl is label 0
LENGTHS = {"a": 4, "b": 3}


def rectangle(track: int, t: int) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of object `track` in frame t."""
    return 5 + 10 * (track % 3) + 2 * t, 6 + 3 * (track % 3), 20 + 10 * (track % 3) + 2 * t, 40


def rectangle_mask(track: int, t: int) -> np.ndarray:
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    x1, y1, x2, y2 = rectangle(track, t)
    mask[y1:y2, x1:x2] = 1
    return mask


def segmentation(track: int, t: int, form: str) -> Any:
    if form == "polygon":
        x1, y1, x2, y2 = rectangle(track, t)
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]
    counts = rle.encode(rectangle_mask(track, t))
    if form == "compressed":
        return {"size": [SIZE[1], SIZE[0]], "counts": counts.decode()}
    return {"size": [SIZE[1], SIZE[0]], "counts": rle.decompress(counts).tolist()}


def annotation(
    number: int, video: int, category: int, visible: list[bool], form: str = "uncompressed"
) -> dict[str, Any]:
    def each(make: Any) -> list[Any]:
        return [make(t) if seen else None for t, seen in enumerate(visible)]

    def bbox(t: int) -> list[int]:
        x1, y1, x2, y2 = rectangle(number, t)
        return [x1, y1, x2 - x1, y2 - y1]

    return {
        "id": number,
        "video_id": video,
        "category_id": category,
        "iscrowd": 0,
        "segmentations": each(lambda t: segmentation(number, t, form)),
        "bboxes": each(bbox),
        "areas": each(lambda t: int(rectangle_mask(number, t).sum())),
    }


def content(form: str = "uncompressed") -> dict[str, Any]:
    """Videos 20 (4 frames of a/) and 10 (3 of b/); object 3 is visible in no frame."""
    videos = [
        {
            "id": number,
            "width": SIZE[0],
            "height": SIZE[1],
            "length": LENGTHS[name],
            "file_names": [f"{name}/{5 * t:05d}.png" for t in range(LENGTHS[name])],
        }
        for number, name in ((20, "a"), (10, "b"))
    ]
    objects = [
        annotation(1, 10, 7, [False, True, True], form),
        annotation(2, 20, 3, [True, True, True, True], form),
        annotation(4, 20, 7, [False, True, True, False], form),
        annotation(3, 20, 3, [False] * 4, form),
    ]
    categories = [dict(category) for category in CATEGORIES]
    return {"info": {}, "videos": videos, "annotations": objects, "categories": categories}


def write_frames(folder: Path) -> None:
    """Frames of both videos below `folder`."""
    visible = {"a": ((2,), (2, 4), (2, 4), (2,)), "b": ((), (1,), (1,))}
    for name in LENGTHS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for t in range(LENGTHS[name]):
            frame = np.full((SIZE[1], SIZE[0], 3), 10 * t, np.uint8)
            for track in visible[name][t]:
                frame[rectangle_mask(track, t) > 0] = 255
            Image.fromarray(frame).save(folder / name / f"{5 * t:05d}.png")


def vis_tree(
    base: Path,
    json_name: str = "train.json",
    images: str = "train/JPEGImages",
    data: dict[str, Any] | None = None,
) -> Path:
    """A whole data set of one split; returns `base`."""
    write_frames(base / images)
    path = base / json_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content() if data is None else data))
    return base
