"""What is written about one frame; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Numbers(Protocol):
    """A tensor or an array."""

    def tolist(self) -> Any: ...


class Found(Protocol):
    """Objects of one frame, see `Detections`."""

    @property
    def boxes(self) -> Numbers: ...
    @property
    def scores(self) -> Numbers: ...
    @property
    def labels(self) -> Numbers: ...
    def __len__(self) -> int: ...


class Frame(Protocol):
    """A frame, see `stpn_data.video.VideoFrame`."""

    @property
    def index(self) -> int: ...
    @property
    def image(self) -> Any: ...
    @property
    def time(self) -> float: ...
    @property
    def name(self) -> str: ...


class Result(Protocol):
    """An answered frame, see `stpn_vod.stream.FrameResult`."""

    @property
    def frame(self) -> Frame: ...
    @property
    def found(self) -> Found: ...
    @property
    def has_prompt(self) -> bool: ...
    @property
    def ids(self) -> Numbers | None: ...


def as_record(result: Result, classes: Sequence[str]) -> dict[str, Any]:
    """One line of `detections.jsonl`; boxes are x1, y1, x2, y2 in pixels of the frame. With tracks
    each object has its `id`."""
    found = result.found
    height, width = result.frame.image.shape[1:]
    numbers = [{}] * len(found) if result.ids is None else [{"id": i} for i in result.ids.tolist()]
    return {
        "frame": result.frame.index,
        "time": round(result.frame.time, 6),
        "name": result.frame.name,
        "size": [width, height],
        "prompted": result.has_prompt,
        "objects": [
            number
            | {"label": classes[label], "score": round(score, 5)}
            | {"box": [round(x, 2) for x in box]}
            for number, box, score, label in zip(
                numbers,
                found.boxes.tolist(),
                found.scores.tolist(),
                found.labels.tolist(),
                strict=True,
            )
        ],
    }
