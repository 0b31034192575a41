"""GOT-10k's numbers: average overlap, success rates, success curve and speed.

As the got10k toolkit computes them (ExperimentGOT10k.report).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stpn_core.errors import InputError
from stpn_vot.metrics.overlap import Array, box_iou

THRESHOLDS = np.linspace(0, 1, 101)
"""Overlaps of the success curve; 50 and 75 are exactly 0.5 and 0.75."""


@dataclass(frozen=True, eq=False)
class Tracked:
    """A tracker's answers to one sequence of N frames, and what is annotated there.

    truth (N, 4) x, y, w, h; cover (N,) visible share in eighths, of which 0 counts as not visible;
    boxes (R, N, 4), one row per repetition; times (N, R) seconds, NaN or 0 where unknown, None if
    nobody measured; size width and height that bound boxes, None for unbounded ones; object_class for
    class-balanced numbers.
    """

    truth: Array
    cover: Array
    boxes: Array
    size: tuple[int, int] | None
    times: Array | None = None
    object_class: str = ""


@dataclass(frozen=True, eq=False)
class Got10k:
    """ao, sr50, sr75: mean overlap and shares of overlaps above 0.5 and 0.75, over all visible
    frames of all sequences and repetitions; curve (101,) shares above `THRESHOLDS`. frames: how many
    count.

    mean_class_ao, mean_class_sr50: means over object classes of the means of their frames.
    fps: mean of 1 / seconds of single frames, as the toolkit reports it. frames_per_second: frames
    over the sum of their seconds, which is lower. Both NaN if no time is known.
    """

    ao: float
    sr50: float
    sr75: float
    curve: Array
    frames: int
    fps: float
    frames_per_second: float
    mean_class_ao: float
    mean_class_sr50: float


def got10k(sequences: Mapping[str, Tracked]) -> Got10k:
    """Numbers over all sequences. A sequence alone gives its own; NaN where no frame is visible.

    The first frame, whose box is given, does not count. Raises InputError naming a sequence whose
    boxes are missing, of another number, or not finite.
    """
    overlaps = {name: sequence_overlaps(name, one) for name, one in sequences.items()}
    every = np.concatenate([np.zeros(0), *overlaps.values()])
    seconds = _seconds([one.times for one in sequences.values() if one.times is not None])
    by_class: dict[str, list[Array]] = {}
    for name, one in sequences.items():
        by_class.setdefault(one.object_class or name, []).append(overlaps[name])
    classes = [np.concatenate(rows) for rows in by_class.values()]
    seen = [one for one in classes if len(one)]
    curve = np.array([_share(every, threshold) for threshold in THRESHOLDS])
    return Got10k(
        ao=_mean(every),
        sr50=_share(every, 0.5),
        sr75=float(curve[75]),
        curve=curve,
        frames=len(every),
        fps=float((1 / seconds).mean()) if len(seconds) else float("nan"),
        frames_per_second=len(seconds) / seconds.sum() if len(seconds) else float("nan"),
        mean_class_ao=_mean(np.array([one.mean() for one in seen])),
        mean_class_sr50=_mean(np.array([_share(one, 0.5) for one in seen])),
    )


def sequence_overlaps(name: str, tracked: Tracked) -> Array:
    """Overlaps of the visible frames after the first, repetition after repetition."""
    frames = len(tracked.truth)
    if tracked.boxes.ndim != 3 or tracked.boxes.shape[1:] != (frames, 4):
        raise InputError(
            f"{name}: {frames} frames need boxes (repetitions, {frames}, 4), not "
            f"{tracked.boxes.shape}"
        )
    if not np.isfinite(tracked.boxes).all():
        raise InputError(f"{name}: a predicted box is not finite")
    visible = np.asarray(tracked.cover)[1:] > 0
    return np.concatenate(
        [box_iou(row[1:], tracked.truth[1:], tracked.size)[visible] for row in tracked.boxes]
    )


def _seconds(times: Sequence[Array]) -> Array:
    flat = np.concatenate([np.zeros(0), *(one.ravel() for one in times)])
    return flat[np.isfinite(flat) & (flat > 0)]


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _share(values: Array, threshold: float) -> float:
    return _mean((values > threshold).astype(float))
