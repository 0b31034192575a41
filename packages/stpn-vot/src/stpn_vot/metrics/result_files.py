"""Result files of any tracker: one box per frame, in the layouts of the usual toolkits.

RESULTS/NAME/NAME_001.txt, NAME_002.txt …    GOT-10k: a file per repetition
RESULTS/NAME/NAME_time.txt                   seconds per frame, a column per repetition
RESULTS/NAME.txt                             OTB, LaSOT, pytracking
RESULTS/times/NAME_time.txt, RESULTS/NAME_time.txt
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stpn_core.errors import InputError
from stpn_vot.metrics.got10k import Tracked
from stpn_vot.metrics.ground_truth import GroundTruth, Truth
from stpn_vot.metrics.overlap import Array
from stpn_vot.metrics.text_numbers import read_numbers


def read_results(results: str | Path, ground_truth: GroundTruth) -> dict[str, Tracked]:
    """Every annotated sequence with what a tracker answered there.

    Raises InputError naming the first file that is missing or cannot be used.
    """
    root = Path(results)
    return {name: _tracked(root, name, one) for name, one in ground_truth.sequences.items()}


def box_files(root: Path, name: str) -> list[Path]:
    """The files with boxes of a sequence, one per repetition; none if there are none."""
    stem = Path(name).name
    single = root / f"{name}.txt"
    repeated = sorted((root / name).glob(f"{stem}_[0-9][0-9][0-9].txt"))
    return repeated or ([single] if single.is_file() else [])


def time_file(root: Path, name: str) -> Path | None:
    """The file with seconds of a sequence, None if nobody measured."""
    stem = Path(name).name
    places = (root / name, root / "times", root)
    return next(
        (p / f"{stem}_time.txt" for p in places if (p / f"{stem}_time.txt").is_file()), None
    )


def _tracked(root: Path, name: str, truth: Truth) -> Tracked:
    files = box_files(root, name)
    if not files:
        raise InputError(
            f"{root / name}: no {Path(name).name}_001.txt, and no {name}.txt in {root}; every sequence "
            "of the split needs results"
        )
    rows = [_boxes(file, len(truth.boxes)) for file in files]
    times = time_file(root, name)
    return Tracked(
        truth.boxes,
        truth.cover,
        np.stack(rows),
        truth.size,
        None if times is None else read_numbers(times, len(rows)),
        truth.object_class,
    )


def _boxes(file: Path, frames: int) -> Array:
    boxes = read_numbers(file, 4)
    if len(boxes) != frames:
        raise InputError(f"{file}: {len(boxes)} boxes for {frames} frames")
    if not np.isfinite(boxes).all():
        raise InputError(f"{file}: a box is not finite")
    return boxes
