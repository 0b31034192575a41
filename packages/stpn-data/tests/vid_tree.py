"""Small trees in the layout of ImageNet VID. Frame n of a video has grey value n and a box whose left
side is n, so that a picture paired with the wrong annotation shows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (64, 48)


def write_image(path: Path, value: int = 0, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).save(path)


def xml_object(
    name: str, box: Sequence[float], track: int | None = 0, flags: tuple[int, int] = (0, 0)
) -> str:
    x1, y1, x2, y2 = box
    trackid = "" if track is None else f"<trackid>{track}</trackid>"
    return (
        f"<object>{trackid}<name>{name}</name><bndbox><xmax>{x2}</xmax><xmin>{x1}</xmin>"
        f"<ymax>{y2}</ymax><ymin>{y1}</ymin></bndbox><occluded>{flags[0]}</occluded>"
        f"<generated>{flags[1]}</generated></object>"
    )


def write_xml(path: Path, objects: Sequence[str] = (), size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><folder>f</folder><filename>{path.stem}</filename><source><database>d"
        f"</database></source><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        f"{''.join(objects)}</annotation>"
    )


def write_video(base: Path, name: str, frames: int, wnid: str = "n02084071") -> None:
    """Video `name` (such as train/a) of `frames` frames, one object of class `wnid` in each."""
    for i in range(frames):
        write_image(base / f"Data/VID/{name}/{i:06d}.JPEG", i)
        box = xml_object(wnid, (i, 5, i + 20, 30))
        write_xml(base / f"Annotations/VID/{name}/{i:06d}.xml", [box])


def write_lists(base: Path, videos: Mapping[str, int], folder: str = "ImageSets/VID") -> None:
    """The three lists for videos and their lengths; every second frame of train is a key frame."""
    lists = base / folder
    lists.mkdir(parents=True, exist_ok=True)
    train = {name: n for name, n in videos.items() if name.startswith("train/")}
    val = {name: n for name, n in videos.items() if name.startswith("val/")}
    rows = [f"{name} 1 {i} {n}" for name, n in train.items() for i in range(0, n, 2)]
    (lists / "VID_train_15frames.txt").write_text("\n".join(rows) + "\n")
    names, frames, first = [], [], 1
    for name, n in val.items():
        names.append(f"{name} {first} 0 {n}")
        frames += [f"{name}/{i:06d} {first + i}" for i in range(n)]
        first += n
    (lists / "VID_val_videos.txt").write_text("\n".join(names) + "\n")
    (lists / "VID_val_frames.txt").write_text("\n".join(frames) + "\n")


def vid_tree(base: Path, videos: Mapping[str, int] | None = None) -> Path:
    """A whole tree with lists; by default two training videos and one for validation."""
    videos = {"train/s/a": 5, "train/s/b": 4, "val/c": 6} if videos is None else videos
    for name, frames in videos.items():
        write_video(base, name, frames)
    write_lists(base, videos)
    return base


_watching: list[list[str]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in ("open", "os.scandir", "os.listdir"):
        _watching[-1].append(str(arguments[0]))


@contextmanager
def opened_paths() -> Iterator[list[str]]:
    """What Python opens or lists inside the block."""
    if not getattr(_hook, "added", False):
        sys.addaudithook(_hook)
        _hook.added = True  # type: ignore[attr-defined]
    _watching.append([])
    try:
        yield _watching[-1]
    finally:
        _watching.pop()
