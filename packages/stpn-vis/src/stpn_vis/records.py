"""What prediction writes down of a video: lines, and results as YouTube-VIS has them. Needs no
torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from stpn_core.runs import unfinished_file
from stpn_vis.found import Found
from stpn_vis.rle import Rle, as_json, encode


class Seen(Protocol):
    """A frame: its number, seconds, name, and uint8 image (3, H, W)."""

    @property
    def index(self) -> int: ...
    @property
    def time(self) -> float: ...
    @property
    def name(self) -> str: ...
    @property
    def image(self) -> Any: ...


@dataclass
class Records:
    """Writes a line for each frame and remembers what `results.json` will hold: masks of each object
    by frame, its last class and score."""

    classes: tuple[str, ...]
    lines: TextIO
    frames: int = 0
    masks: dict[int, dict[int, Rle]] = field(default_factory=dict)
    last: dict[int, tuple[int, float]] = field(default_factory=dict)

    def note(self, frame: Seen, found: Found, has_prompt: bool) -> None:
        """The next frame and what was found on it."""
        rles = [encode(mask.astype(np.uint8)) for mask in found.masks]
        record = as_record(frame, found, has_prompt, rles, self.classes)
        self.lines.write(json.dumps(record) + "\n")
        for i, label, score, rle in zip(
            found.ids.tolist(), found.labels.tolist(), found.scores.tolist(), rles, strict=True
        ):
            self.masks.setdefault(i, {})[self.frames] = rle
            self.last[i] = (label, score)
        self.frames += 1

    def results(self) -> Iterator[dict[str, Any]]:
        """Rows of a YouTube-VIS results file for video 1; category ids count classes from 1."""
        for i, masks in self.masks.items():
            yield {
                "video_id": 1,
                "category_id": self.last[i][0] + 1,
                "score": round(self.last[i][1], 5),
                "segmentations": [as_json(masks.get(t)) for t in range(self.frames)],
            }

    def write_results(self, path: Path) -> None:
        """Write `results` to `path`, whole or not at all, object by object: the text of a long video
        would take more memory than its masks. Raises OSError if the disk refuses."""
        partial = unfinished_file(path.parent, path.stem)
        try:
            with open(partial, "w", encoding="utf-8") as file:
                file.write("[")
                for place, row in enumerate(self.results()):
                    file.write((", " if place else "") + json.dumps(row))
                file.write("]")
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def as_record(
    frame: Seen, found: Found, has_prompt: bool, rles: list[Rle], classes: tuple[str, ...]
) -> dict[str, Any]:
    """One line of `instances.jsonl`; boxes are x1, y1, x2, y2 in pixels of the frame, masks
    compressed RLE."""
    height, width = frame.image.shape[1:]
    rows = zip(
        found.ids.tolist(),
        found.labels.tolist(),
        found.scores.tolist(),
        found.boxes().tolist(),
        rles,
        strict=True,
    )
    return {
        "frame": frame.index,
        "time": round(frame.time, 6),
        "name": frame.name,
        "size": [width, height],
        "prompted": has_prompt,
        "objects": [
            {"id": i, "label": classes[label], "score": round(score, 5), "box": box,
             "mask": as_json(rle)}
            for i, label, score, box, rle in rows
        ],
    }  # fmt: skip
