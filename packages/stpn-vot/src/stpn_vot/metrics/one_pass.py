"""OTB's and LaSOT's numbers: success, precision and normalised precision of one pass.

Evaluators disagree in what they call these, so every number has a convention, and its name stands
beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stpn_core.errors import InputError
from stpn_vot.metrics.frame_errors import FrameErrors, analysis_errors, toolkit_errors
from stpn_vot.metrics.got10k import Tracked
from stpn_vot.metrics.overlap import Array

OVERLAPS = {
    "toolkit": np.linspace(0, 1, 21),
    # torch.arange(0, 1.05, 0.05) as it rounds, four numbers at a time
    "analysis": np.add.outer(np.arange(0, 21, 4) * 0.05, np.arange(4) * 0.05).ravel()[:21],
}
"""Thresholds of the success curve by family; 10 and 15 are 0.5 and 0.75."""
PIXELS = np.arange(51.0)
"""Thresholds of the precision curve."""
SIDES = {"toolkit": np.linspace(0, 0.5, 51), "analysis": np.arange(51) / 100}
"""Thresholds of the normalised precision curve, in sides of the annotated box."""


@dataclass(frozen=True)
class Convention:
    """How an evaluator counts. name: what its numbers are called here; about: what it does.

    analysis: as pytracking's and MixFormer's analysis, where normalised precision is the curve's
    value at 0.20; else as the got10k toolkit, where it is the mean of the curve. whole_box: x and y
    of a valid annotation must be above 0, too. exclude: invalid frames are left out of the
    denominator, though not of what counts as right.
    """

    name: str
    about: str
    analysis: bool = True
    whole_box: bool = False
    exclude: bool = False


CONVENTIONS = (
    Convention(
        "toolkit",
        "got10k toolkit: every annotated frame, visible or not; normalised precision is the mean of "
        "its curve from 0 to 0.5",
        analysis=False,
    ),
    Convention(
        "pytracking",
        "frames that are not visible or have an annotated x, y, w or h of 0 or less count as failed; "
        "normalised precision at 0.20",
        whole_box=True,
    ),
    Convention(
        "pytracking-excluded",
        "the same divided by the number of valid frames alone, which can exceed 100 %",
        whole_box=True,
        exclude=True,
    ),
    Convention("mixformer", "MixFormer's copy: as pytracking, but x and y may be 0 or less"),
    Convention(
        "mixformer-excluded",
        "the same divided by the number of valid frames alone",
        exclude=True,
    ),
)


@dataclass(frozen=True, eq=False)
class OnePass:
    """Shares from 0 to 1; means over sequences, however long these are.

    auc: mean of the success curve; op50, op75: its values at 0.5 and 0.75. precision: share of frames
    whose centre is at most 20 pixels off; norm_precision: see `Convention`. overlap: mean overlap of
    the valid frames. mean_class_*: means over object classes of the means of their sequences.
    fps: mean of 1 / seconds of a sequence's frames, NaN if no time is known. success (21,), pixels
    (51,), sides (51,): curves over `OVERLAPS`, `PIXELS` and `SIDES`.
    """

    auc: float
    op50: float
    op75: float
    precision: float
    norm_precision: float
    overlap: float
    mean_class_auc: float
    mean_class_precision: float
    mean_class_norm_precision: float
    fps: float
    success: Array
    pixels: Array
    sides: Array
    sequences: int


def one_pass(
    sequences: Mapping[str, Tracked], convention: Convention, *, visibility: bool
) -> OnePass:
    """Numbers over all sequences; those of one alone are its own. Repetitions are averaged.

    visibility: frames on which the target is not visible are invalid, as the analysis family has it
    for LaSOT and for no other data; the toolkit never looks. Raises InputError naming a sequence
    whose boxes cannot be used, or that has no frame to count.
    """
    if not sequences:
        raise InputError("no sequence to measure on")
    rows: list[tuple[Array, Array, Array]] = []
    overlaps, groups = [], []
    for name, one in sequences.items():
        _check(name, one)
        seen = one.cover > 0 if visibility else None
        try:
            runs = [_errors(boxes, one.truth, seen, convention) for boxes in one.boxes]
            curves = [_curves(errors, convention) for errors in runs]
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        rows.append(tuple(np.mean(kind, axis=0) for kind in zip(*curves, strict=True)))  # type: ignore[arg-type]
        valid = [errors.overlap[errors.valid] for errors in runs]
        overlaps.append(float(np.concatenate(valid).mean()) if len(valid[0]) else float("nan"))
        groups.append(one.object_class or name)
    success, pixels, sides = (np.mean(kind, axis=0) for kind in zip(*rows, strict=True))
    scores = np.array([_scores(*row, convention) for row in rows])
    members = [np.array(groups) == group for group in dict.fromkeys(groups)]
    by_class = np.mean([scores[chosen].mean(axis=0) for chosen in members], axis=0)
    auc, precision, norm_precision = _scores(success, pixels, sides, convention)
    speeds = [_fps(one.times) for one in sequences.values() if one.times is not None]
    return OnePass(
        auc=auc,
        op50=float(success[10]),
        op75=float(success[15]),
        precision=precision,
        norm_precision=norm_precision,
        overlap=_mean(overlaps),
        mean_class_auc=float(by_class[0]),
        mean_class_precision=float(by_class[1]),
        mean_class_norm_precision=float(by_class[2]),
        fps=_mean(speeds),
        success=success,
        pixels=pixels,
        sides=sides,
        sequences=len(rows),
    )


def _errors(
    boxes: Array, truth: Array, seen: np.ndarray | None, convention: Convention
) -> FrameErrors:
    if convention.analysis:
        return analysis_errors(boxes, truth, seen, whole_box=convention.whole_box)
    return toolkit_errors(boxes, truth)


def _curves(errors: FrameErrors, convention: Convention) -> tuple[Array, Array, Array]:
    """Success, precision, normalised precision: strictly above, and at most."""
    counted = int(errors.valid.sum()) if convention.exclude else len(errors.overlap)
    if counted == 0:
        raise InputError(f"no frame counts under the convention {convention.name!r}")
    family = "analysis" if convention.analysis else "toolkit"
    return (
        (errors.overlap[:, None] > OVERLAPS[family]).sum(axis=0) / counted,
        (errors.centre[:, None] <= PIXELS).sum(axis=0) / counted,
        (errors.norm_centre[:, None] <= SIDES[family]).sum(axis=0) / counted,
    )


def _scores(
    success: Array, pixels: Array, sides: Array, convention: Convention
) -> tuple[float, float, float]:
    norm = sides[20] if convention.analysis else sides.mean()
    return float(success.mean()), float(pixels[20]), float(norm)


def _fps(times: Array) -> float:
    known = times[np.isfinite(times) & (times > 0)]
    return float((1 / known).mean()) if len(known) else float("nan")


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers; NaN if none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _check(name: str, one: Tracked) -> None:
    frames = len(one.truth)
    if one.boxes.ndim != 3 or one.boxes.shape[1:] != (frames, 4) or not len(one.boxes):
        raise InputError(
            f"{name}: {frames} frames need boxes (repetitions, {frames}, 4), not {one.boxes.shape}"
        )
    if not np.isfinite(one.boxes).all():
        raise InputError(f"{name}: a predicted box is not finite")
