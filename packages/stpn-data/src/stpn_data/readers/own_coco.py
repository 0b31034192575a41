"""One COCO-style JSON file of boxes for the videos of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.json_stream import read_json_arrays
from stpn_data.paths import VIDEO_SUFFIXES
from stpn_data.readers.coco_json import NO_VIDEO, CocoTable, read_coco_table
from stpn_data.readers.own_boxes import FrameBoxes


def find_json(root: Path, split: str) -> Path | None:
    """The JSON file of `split` under one of the usual names."""
    names = [
        f"{split}.json",
        f"annotations/{split}.json",
        f"annotations/instances_{split}.json",
        f"{split}/annotations.json",
    ]
    if not (root / split).is_dir():
        names.append("annotations.json")
    return next((root / name for name in names if (root / name).is_file()), None)


def same_categories(path: Path, others: Sequence[Path]) -> tuple[str, ...]:
    """Names of the categories of `path` by id. Raises DataError if another split's differ."""
    ours = _categories(path)
    for other in others:
        if other != path and _categories(other) != ours:
            raise DataError(
                f"{path} and {other} have different categories; give both the same, or list the "
                "classes in classes.txt"
            )
    return ours


def read_own_coco(
    path: Path, root: Path, folder: Path, on_defect: OnDefect
) -> dict[str, Mapping[str, FrameBoxes]]:
    """Boxes by video (relative to `root`), then by frame.

    `file_name` is relative to `folder` or to `root`: `street/000012.jpg`, or `park.mp4/12` for a
    frame of a video file. An image without one is frame `frame_id` of the `name` of its `video_id`.
    """
    table = read_coco_table(path, on_defect)
    inside = "" if folder == root else f"{folder.name}/"
    videos: dict[str, dict[str, FrameBoxes]] = {}
    frames: list[FrameBoxes] = []
    for row, name in enumerate(_frame_paths(table)):
        video, _, frame = name.rpartition("/")
        if video.lower().endswith(VIDEO_SUFFIXES):
            frame = frame.rsplit(".", 1)[0]
        if (folder / video).exists():
            video = f"{inside}{video}".rstrip("/")
        entry = FrameBoxes(f"{path}: image {row}")
        if table.sizes[2 * row]:
            entry.size = table.sizes[2 * row], table.sizes[2 * row + 1]
        frames.append(entry)
        if frame in videos.setdefault(video, {}):
            on_defect(Defect("json", entry.place, f"{name} is given twice"))
        videos[video][frame] = entry
    for i, row in enumerate(table.rows_of_boxes()):
        category = table.categories.get(table.box_category[i])
        if row >= 0 and category is not None:
            x1, y1, x2, y2 = table.boxes[4 * i : 4 * i + 4]
            frames[row].boxes.append((x1, y1, x2, y2))
            frames[row].names.append(category)
            frames[row].tracks.append(max(-1, min(table.box_track[i], (1 << 31) - 1)))
    return dict(videos)


def _frame_paths(table: CocoTable) -> list[str]:
    return [
        file or f"{table.videos.get(table.image_video[row], NO_VIDEO)}/{table.image_frame[row]}"
        for row, file in enumerate(table.files)
    ]


def _categories(path: Path) -> tuple[str, ...]:
    found: list[tuple[int, str]] = []

    def add(_: int, entry: object) -> None:
        if isinstance(entry, dict) and isinstance(entry.get("id"), int):
            found.append((entry["id"], str(entry.get("name"))))

    read_json_arrays(path, {"categories": add})
    return tuple(name for _, name in sorted(found))
