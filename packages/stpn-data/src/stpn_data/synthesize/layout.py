"""The files of ImageNet VID: frames, annotations and the lists of ImageSets."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stpn_data.synthesize.render import Frame

KEYS = 15  # key frames per training video, as in VID_train_15frames


def write_frame(
    root: Path, video: str, number: int, frame: Frame, labels: Sequence[str], quality: int
) -> None:
    """`Data/VID/<video>/NNNNNN.JPEG` and `Annotations/VID/<video>/NNNNNN.xml`, frames from 0."""
    image = root / "Data" / "VID" / video / f"{number:06d}.JPEG"
    image.write_bytes(jpeg(frame.image, quality))
    text = _annotation(video, number, frame, labels)
    (root / "Annotations" / "VID" / video / f"{number:06d}.xml").write_text(
        text, encoding="utf-8", newline="\n"
    )


def make_folders(root: Path, video: str) -> None:
    for kind in ("Data", "Annotations"):
        (root / kind / "VID" / video).mkdir(parents=True)


def write_lists(
    root: Path, train: Sequence[str], val: Sequence[str], frames: int, classes: Sequence[str]
) -> None:
    """`ImageSets/VID/VID_{train_15frames,val_videos,val_frames}.txt` and `classes.txt`.

    Frame numbers of VID_train_15frames count from 0, global numbers of the val lists from 1.
    """
    folder = root / "ImageSets" / "VID"
    folder.mkdir(parents=True)
    chosen = sorted({round(k) for k in np.linspace(0, frames - 1, KEYS)})
    keys = [f"{video} 1 {frame} {frames}" for video in train for frame in chosen]
    videos = [f"{video} {1 + n * frames} 0 {frames}" for n, video in enumerate(val)]
    every = [
        f"{video}/{frame:06d} {1 + n * frames + frame}"
        for n, video in enumerate(val)
        for frame in range(frames)
    ]
    _write_lines(folder / "VID_train_15frames.txt", keys)
    _write_lines(folder / "VID_val_videos.txt", videos)
    _write_lines(folder / "VID_val_frames.txt", every)
    _write_lines(root / "classes.txt", classes)


def _annotation(video: str, number: int, frame: Frame, labels: Sequence[str]) -> str:
    _, height, width = frame.image.shape
    objects = "".join(
        f"<object><trackid>{track}</trackid><name>{label}</name>"
        f"<bndbox><xmax>{x2}</xmax><xmin>{x1}</xmin><ymax>{y2}</ymax><ymin>{y1}</ymin></bndbox>"
        f"<occluded>{int(occluded)}</occluded><generated>0</generated></object>\n"
        for track, (label, (x1, y1, x2, y2), occluded) in enumerate(
            zip(labels, frame.boxes.tolist(), frame.occluded, strict=True)
        )
    )
    return (
        f"<annotation>\n<folder>{video.split('/')[-1]}</folder>"
        f"<filename>{number:06d}</filename><source><database>stpn synthetic</database></source>\n"
        f"<size><width>{width}</width><height>{height}</height></size>\n{objects}</annotation>\n"
    )


def jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """A picture (3,H,W) as the content of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
