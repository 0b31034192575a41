"""Where the parts of a YouTube-VIS or OVIS data set lie; several trees are in use.

`train.json` and `train/JPEGImages` (MinVIS, Mask2Former, VITA); `annotations/instances_train_sub.json`
(VNext); `train/instances.json` (the archive of 2021); `annotations_train.json` with the videos in
`train/` (OVIS).
"""

from __future__ import annotations

import re
from pathlib import Path

from stpn_data.errors import DataError

SPLITS = ("train", "valid", "test")
_SAME = {"val": ("valid", "val"), "valid": ("valid", "val"), "validation": ("valid", "val")}
_FILES = (
    "{}.json",
    "annotations/instances_{}_sub.json",
    "annotations/instances_{}.json",
    "{}/instances.json",
    "annotations_{}.json",
    "annotations/annotations_{}.json",
    "annotations/{}.json",
)
_CHUNK = 1 << 20


def find_vis_json(root: Path, split: str) -> Path | None:
    """The file of `split` ("val" and "valid" are one) under one of its usual names."""
    names = [form.format(name) for form in _FILES for name in _SAME.get(split, (split,))]
    return next((root / name for name in names if (root / name).is_file()), None)


def require_vis_json(path: Path, split: str) -> Path:
    """`path` itself if it is a file, or the file of `split` in it. Raises DataError if none is."""
    if path.is_file():
        return path
    found = find_vis_json(path, split)
    if found is None:
        looked = ", ".join(form.format(split) for form in _FILES)
        have = [name for name in SPLITS if find_vis_json(path, name)]
        hint = f"; it has {', '.join(have)}" if have else ""
        raise DataError(f"{path}: no YouTube-VIS file of {split!r}{hint}. Looked for {looked}")
    return found


def is_vis_json(path: Path) -> bool:
    """Whether a JSON file lists the frames of videos as YouTube-VIS does, by its first such key."""
    keys = re.compile(rb'"(file_names|segmentations)"\s*:|"(file_name|image_id|frame_id)"\s*:')
    rest = b""
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            if found := keys.search(rest + chunk):
                return found[1] is not None
            rest = chunk[-64:]
    return False


def vis_images(json_path: Path) -> Path:
    """The folder that the file names in `json_path` are relative to."""
    name = re.sub(r"^(instances|annotations)_|_sub$", "", json_path.stem)
    top = json_path.parent
    if json_path.stem == "instances" and top.name != "annotations":
        name, top = top.name, top.parent
    elif top.name == "annotations":
        top = top.parent
    names = _SAME.get(name, (name,))
    tries = [top / n / "JPEGImages" for n in names] + [
        top / "JPEGImages",
        *(top / n for n in names),
    ]
    return next((folder for folder in tries if folder.is_dir()), top)
