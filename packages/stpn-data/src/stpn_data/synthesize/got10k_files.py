"""The files of GOT-10k: frames, ground truth, labels and meta information of one sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stpn_data.synthesize.layout import jpeg
from stpn_data.synthesize.render import Frame

LEVELS = 8  # of cover.label: the visible share in eighths
RATE = 10  # frames a second, as in the real set
_ADVERB = {"slow": "slowly", "medium": "steadily", "fast": "quickly"}


@dataclass
class TargetRows:
    """What the label files say of the target, the first object of the scene, a row per frame.

    `cover` is the share of the whole outline that can be seen, whether other objects, an occluder or
    the border hide the rest. Where nothing of it is seen the target counts as absent.
    """

    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, y, w, h
    cover: list[int] = field(default_factory=list)
    absence: list[int] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    _whole: float = 0.0  # pixels of the outline at radius 1, from the frame that shows most of it

    def add(self, frame: Frame, radius: float) -> None:
        """The next frame, in which the target has the size `radius`. The first shows all of it."""
        outline, visible = frame.outlines[0], frame.visible[0]
        inside, seen = int(outline.sum()), int(visible.sum())
        self._whole = max(self._whole, inside / radius**2)
        share = seen / (self._whole * radius**2)
        level = min(LEVELS, max(1, round(LEVELS * share))) if seen else 0
        x1, y1, x2, y2 = frame.boxes[0].tolist()
        box = (x1, y1, x2 + 1 - x1, y2 + 1 - y1) if inside else (0.0, 0.0, 0.0, 0.0)
        border = (outline[0], outline[-1], outline[:, 0], outline[:, -1])
        self.boxes.append(box)
        self.cover.append(level)
        self.absence.append(int(level == 0))
        self.cut.append(int(inside > 0 and any(side.any() for side in border)))


def write_got10k_frame(folder: Path, number: int, frame: Frame, quality: int) -> None:
    """`NNNNNNNN.jpg`; the first frame is 00000001."""
    (folder / f"{frame_stem(number)}.jpg").write_bytes(jpeg(frame.image, quality))


def frame_stem(number: int) -> str:
    """Name without ending of frame `number`, counted from 0."""
    return f"{number + 1:08d}"


def write_got10k_labels(
    folder: Path, rows: TargetRows, label: str, speed: str, size: tuple[int, int]
) -> None:
    """`groundtruth.txt`, the three label files and `meta_info.ini`."""
    truth = [",".join(f"{side:.4f}" for side in box) for box in rows.boxes]
    _write_lines(folder / "groundtruth.txt", truth)
    _write_lines(folder / "cover.label", rows.cover)
    _write_lines(folder / "absence.label", rows.absence)
    _write_lines(folder / "cut_by_image.label", rows.cut)
    minutes, seconds = divmod(math.ceil(len(rows.boxes) / RATE), 60)
    meta = {
        "url": "stpn synthetic",
        "begin": "00:00:00",
        "end": f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}",
        "anno_fps": f"{RATE}Hz",
        "object_class": label,
        "motion_class": speed,
        "major_class": "object",
        "root_class": "object",
        "motion_adverb": _ADVERB[speed],
        "resolution": f"({size[0]}, {size[1]})",
    }
    lines = ["[METAINFO]", *(f"{key}: {value}" for key, value in meta.items())]
    _write_lines(folder / "meta_info.ini", lines)


def write_got10k_lists(folder: Path, names: Sequence[str], classes: Sequence[str]) -> None:
    """`list.txt` of a split, one sequence per line, and `classes.txt` beside the splits."""
    _write_lines(folder.parent / "classes.txt", classes)
    _write_lines(folder / "list.txt", names)


def _write_lines(path: Path, lines: Sequence[object]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
