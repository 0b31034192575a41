"""The files of YouTube-VIS 2019: `train.json` and `valid.json` beside `{train,valid}/JPEGImages`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stpn_data import rle
from stpn_data.masks import OCCLUSIONS
from stpn_data.synthesize.layout import jpeg
from stpn_data.synthesize.render import Frame

SLIGHT, SEVERE = 0.05, 0.5  # share of an object that is hidden, from which on it is called so

Objects = list[dict[str, Any]]  # entries of `annotations` without ids


class ObjectLists:
    """What `annotations` says of the n objects of a video, frame after frame."""

    def __init__(self, labels: Sequence[str]) -> None:
        lists = ("segmentations", "bboxes", "areas", "occlusion")
        self.entries: Objects = [
            {"category": label, "iscrowd": 0, **{name: [] for name in lists}} for label in labels
        ]

    def add(self, frame: Frame) -> None:
        for entry, outline, visible in zip(
            self.entries, frame.outlines, frame.visible, strict=True
        ):
            _add_object(entry, outline, visible)


def _add_object(entry: dict[str, Any], outline: np.ndarray, visible: np.ndarray) -> None:
    pixels = int(visible.sum())
    if not pixels:
        for name in ("segmentations", "bboxes", "areas", "occlusion"):
            entry[name].append(None)
        return
    counts = rle.encode(visible)
    around = rle.bounds(rle.decompress(counts), visible.shape[0])
    assert around is not None
    x1, y1, x2, y2 = around
    hidden = 1 - pixels / int(outline.sum())
    level = 1 if hidden < SLIGHT else 2 if hidden < SEVERE else 3
    entry["segmentations"].append({"size": list(visible.shape), "counts": counts.decode()})
    entry["bboxes"].append([x1, y1, x2 - x1, y2 - y1])
    entry["areas"].append(pixels)
    entry["occlusion"].append(OCCLUSIONS[level])


def frame_file(video: str, number: int) -> str:
    """`<video>/NNNNNN.jpg`, below `<split>/JPEGImages`."""
    return f"{video}/{number:06d}.jpg"


def write_vis_frame(images: Path, video: str, number: int, frame: Frame, quality: int) -> None:
    (images / frame_file(video, number)).write_bytes(jpeg(frame.image, quality))


def write_vis_json(
    path: Path,
    videos: Sequence[tuple[str, Objects]],
    frames: int,
    size: tuple[int, int],
    classes: Sequence[str],
) -> None:
    """Videos, annotations and categories, each numbered from 1 in order; one entry a line."""
    ids = {label: number for number, label in enumerate(classes, 1)}
    head = [
        {
            "id": number,
            "width": size[0],
            "height": size[1],
            "length": frames,
            "file_names": [frame_file(name, t) for t in range(frames)],
        }
        for number, (name, _) in enumerate(videos, 1)
    ]
    objects: Objects = []
    for number, (_, entries) in enumerate(videos, 1):
        for entry in entries:
            rest = {key: value for key, value in entry.items() if key != "category"}
            whose = {"video_id": number, "category_id": ids[entry["category"]]}
            objects.append({"id": len(objects) + 1, **whose, **rest})
    categories = [
        {"id": number, "name": label, "supercategory": "object"} for label, number in ids.items()
    ]
    parts = {"videos": head, "categories": categories, "annotations": objects}
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        lines = [
            f'"{name}": [\n' + ",\n".join(map(json.dumps, entries)) + "\n]"
            for name, entries in parts.items()
        ]
        file.write('{"info": {"description": "stpn synthetic"},\n' + ",\n".join(lines) + "\n}\n")
        file.flush()
        os.fsync(file.fileno())
