"""Small tracking sets in each of the layouts: a grey picture per frame, of a brightness of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

SIZE = (64, 48)
META = {"url": "https://example.org/v?x=0:1", "object_class": "bird", "resolution": "(64, 48)"}


def write_frames(folder: Path, names: Sequence[str], same: int = 0) -> None:
    """A picture for each of `names`; the first `same` are one."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names):
        level = 0 if n < same else 10 + 5 * n
        Image.new("L", SIZE, level).save(folder / name)


def box_lines(count: int) -> list[str]:
    """x,y,w,h of `count` frames: 30x20 pixels, one pixel further right in each."""
    return [f"{5 + t}.5000,8.0000,30.0000,20.0000" for t in range(count)]


def write_lines(path: Path, lines: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def got10k_sequence(
    folder: Path,
    count: int = 4,
    *,
    images: int | None = None,
    boxes: Sequence[str] | None = None,
    label: str = "bird",
    **labels: Sequence[int],
) -> Path:
    """A sequence of `count` frames; `labels` replace absence, cover and cut_by_image."""
    number = count if images is None else images
    write_frames(folder, [f"{t + 1:08d}.jpg" for t in range(number)])
    write_lines(folder / "groundtruth.txt", box_lines(count) if boxes is None else boxes)
    usual = {"absence": [0] * count, "cover": [8] * count, "cut_by_image": [0] * count}
    for name, levels in {**usual, **labels}.items():
        write_lines(folder / f"{name}.label", levels)
    meta = {**META, "object_class": label}
    write_lines(folder / "meta_info.ini", ["[METAINFO]", *(f"{k}: {v}" for k, v in meta.items())])
    return folder


def got10k_split(folder: Path, names: Sequence[str], **sequence: Any) -> Path:
    """A split whose sequences are `names`, with its list."""
    for name in names:
        got10k_sequence(folder / name, **sequence)
    write_lines(folder / "list.txt", names)
    return folder


def lasot_sequence(folder: Path, count: int = 3, occluded: str = "", out: str = "") -> Path:
    write_frames(folder / "img", [f"{t + 1:08d}.jpg" for t in range(count)])
    write_lines(folder / "groundtruth.txt", [f"{1 + t},2,30,20" for t in range(count)])
    nothing = ",".join("0" * count)
    write_lines(folder / "full_occlusion.txt", [occluded or nothing])
    write_lines(folder / "out_of_view.txt", [out or nothing])
    write_lines(folder / "nlp.txt", ["a bird"])
    return folder


def trackingnet_video(root: Path, chunk: str, name: str, count: int = 3, rows: int = 0) -> None:
    write_frames(root / chunk / "frames" / name, [f"{t}.jpg" for t in range(count)])
    write_lines(root / chunk / "anno" / f"{name}.txt", box_lines(rows or count))


def coco_tree(root: Path, split: str = "train", **changes: Any) -> Path:
    """Two images; a large object, a small one and a crowd in the first, a large one in the second."""
    content = {
        "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}],
        "images": [
            {"id": 9, "file_name": "000000000009.jpg", "width": 64, "height": 480},
            {"id": 25, "file_name": "000000000025.jpg", "width": 640, "height": 480},
        ],
        "annotations": [
            coco_object(7, 25, 3, [10, 20, 100, 60]),
            coco_object(5, 9, 1, [1, 2, 60.5, 70]),
            coco_object(6, 9, 1, [1, 2, 50, 300]),
            {**coco_object(8, 9, 1, [0, 0, 64, 480]), "iscrowd": 1},
        ],
        **changes,
    }
    path = root / "annotations" / f"instances_{split}2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    folder = root / f"{split}2017"
    folder.mkdir(parents=True, exist_ok=True)
    for entry in content["images"]:
        size = (entry["width"], entry["height"])
        Image.new("L", size).save(folder / entry["file_name"])
    return path


def coco_object(number: int, image: int, category: int, box: Sequence[float]) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "iscrowd": 0,
        "segmentation": [],
    }
