"""What is written about a video: `tracks.jsonl` and `annotated.mp4`; needs no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TextIO, TypeAlias, TypeVar

from tqdm import tqdm

from stpn_core.errors import InputError, StpnError
from stpn_core.runs import unfinished_file
from stpn_core.training import StopFlag
from stpn_data.video_reading import Stopped, expected_frames
from stpn_data.video_write import write_video
from stpn_vot.judgement import TrackResult
from stpn_vot.predict_config import PredictConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Image: TypeAlias = "Tensor | NDArray[np.uint8]"
"""uint8 (3, H, W) RGB."""


class Pictured(Protocol):
    """A `VideoFrame` or a `Frame` of arrays."""

    @property
    def index(self) -> int: ...
    @property
    def image(self) -> Any: ...
    @property
    def time(self) -> float: ...
    @property
    def name(self) -> str: ...


F = TypeVar("F", bound=Pictured)


class Video(Protocol):
    """A `VideoSource` or a `FrameSource`."""

    name: str
    fps: float

    @property
    def length_hint(self) -> int | None: ...
    @property
    def status(self) -> str: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True, eq=False)
class FrameTracks(Generic[F]):
    """The targets on one frame, in the order of their boxes."""

    frame: F
    targets: tuple[TrackResult, ...]


@dataclass(frozen=True)
class PredictSummary:
    """What was done. lost: targets that are lost on the last frame. status and problems: of the
    video (see `VideoSource`); exit_code: 130 or 143 if a signal stopped it, else 0."""

    frames: int
    targets: int
    lost: int
    status: str
    problems: tuple[str, ...]
    exit_code: int


def write_tracks(
    video: Video,
    results: Iterator[FrameTracks[F]],
    out: Path | str,
    config: PredictConfig,
    stop: StopFlag,
    draw: Callable[[FrameTracks[F]], Image],
    *,
    source: str,
    targets: int,
) -> PredictSummary:
    """Write `OUT/tracks.jsonl` and, if asked for, `OUT/annotated.mp4`, each whole or not at all.

    results: of the frames of `video`. Raises InputError if there is none, StpnError if OUT cannot
    be written.
    """
    out = Path(out)
    partial = unfinished_file(out, "tracks")
    last: list[FrameTracks[F]] = []
    try:
        with open(partial, "w", encoding="utf-8") as lines:
            total = expected_frames(video, config.max_frames)
            noted = _noted(_until_stopped(results), lines, last)
            shown = tqdm(noted, desc=video.name, unit="frame", total=total)
            if config.video:
                count = write_video(out / "annotated.mp4", map(draw, shown), video.fps)
            else:
                count = sum(1 for _ in shown)
            lines.flush()
            os.fsync(lines.fileno())
        status, problems = video.status, video.problems
        if count:
            os.replace(partial, out / "tracks.jsonl")
        elif not stop:
            reason = "; ".join(problems) or status
            raise InputError(f"{source}: no frame could be read ({reason})")
    except OSError as error:
        raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    lost = sum(target.lost for result in last for target in result.targets)
    return PredictSummary(count, targets, lost, status, problems, stop.exit_code)


def as_record(result: FrameTracks[Any]) -> dict[str, Any]:
    """One line of `tracks.jsonl`; boxes are x, y, w, h in pixels of the frame."""
    height, width = result.frame.image.shape[1:]
    return {
        "frame": result.frame.index,
        "time": round(result.frame.time, 6),
        "name": result.frame.name,
        "size": [width, height],
        "targets": [
            {
                "id": number,
                "box": [round(value, 3) for value in target.box],
                "score": None if target.score is None else round(target.score, 5),
                "lost": target.lost,
            }
            for number, target in enumerate(result.targets, start=1)
        ],
    }


def _until_stopped(results: Iterator[FrameTracks[F]]) -> Iterator[FrameTracks[F]]:
    try:
        yield from results
    except Stopped:
        return


def _noted(
    results: Iterable[FrameTracks[F]], lines: TextIO, last: list[FrameTracks[F]]
) -> Iterator[FrameTracks[F]]:
    """The results, each written as a line; `last` holds the latest."""
    for result in results:
        lines.write(json.dumps(as_record(result)) + "\n")
        last[:] = [result]
        yield result
