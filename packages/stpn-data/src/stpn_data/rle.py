"""Run-length encoded masks, as COCO and YouTube-VIS write them, checked before they are decoded.

A mask of H x W pixels is read column by column; `counts` are the lengths of its runs, 0 first, then
1 and 0 in turn. The compressed form packs counts into text of 5 bits a character, each count but the
first three as the difference to the one two before. pycocotools reads both forms, but never checks
that the runs fill the mask: cut-off text decodes to a wrong mask there, and is an error here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stpn_data.errors import DataError

MAX_PIXELS = 50_000_000  # of one mask
_LONGEST = 7  # characters of one count: 35 bits


def encode(mask: ArrayLike) -> bytes:
    """Compressed counts of a mask (H,W); everything but 0 is inside."""
    flat = np.asarray(mask).astype(bool).ravel(order="F")
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0, 0] if len(flat) and flat[0] else [0]
    return compress(np.diff(np.concatenate([first, turns, [len(flat)]])))


def decode(counts: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """The mask (H,W), 0 or 1, of compressed counts.

    Raises DataError if the text is damaged or its runs do not fill the mask.
    """
    return decode_runs(checked_runs(decompress(counts), height, width), height, width)


def decode_runs(runs: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
    """The mask (H,W) of counts that are known to fill it."""
    values = np.arange(len(runs), dtype=np.uint8) & 1
    return np.repeat(values, runs).reshape(width, height).T


def checked_runs(counts: ArrayLike, height: int, width: int) -> NDArray[np.int64]:
    """`counts` as an array. Raises DataError unless they are whole numbers of 0 or more whose sum is
    H x W, at most 50 million.
    """
    if not 0 < height * width <= MAX_PIXELS or height < 0:
        raise DataError(f"a mask of {width}×{height} pixels; 1 to {MAX_PIXELS:,} pixels are read")
    if isinstance(counts, list) and not set(map(type, counts)) <= {int}:  # True is 1 to numpy
        raise DataError("counts are no list of whole numbers")
    runs = np.asarray(counts)
    if runs.ndim != 1 or (len(runs) and runs.dtype.kind not in "iu"):
        raise DataError("counts are no list of whole numbers")
    runs = runs.astype(np.int64)
    if (runs < 0).any() or (runs > MAX_PIXELS).any():
        raise DataError("counts hold a number below 0 or above the pixels of the mask")
    total = int(runs.sum())
    if total != height * width:
        raise DataError(
            f"counts add up to {total:,}, but {width}×{height} pixels are {height * width:,}"
        )
    return runs


def compress(runs: ArrayLike) -> bytes:
    """Counts in their compressed form."""
    counts = np.asarray(runs, np.int64)
    values = counts.copy()
    values[3:] -= counts[1:-2]
    place = 5 * np.arange(_LONGEST)
    bits = (values[:, None] >> place) & 31
    # a value of k characters lies in [-2^(5k-1), 2^(5k-1))
    limit = np.int64(1) << (place + 4)
    short = (values[:, None] >= -limit) & (values[:, None] < limit)
    length = 1 + (~short[:, :-1]).sum(1)
    at = np.arange(_LONGEST)
    more = at < length[:, None] - 1
    return ((bits | (more << 5)) + 48).astype(np.uint8)[at < length[:, None]].tobytes()


def decompress(counts: bytes) -> NDArray[np.int64]:
    """Counts from their compressed form. Raises DataError for damaged text."""
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if not len(codes):
        return np.zeros(0, np.int64)
    ends = np.flatnonzero(codes & 32 == 0)
    if (codes < 0).any() or (codes > 63).any() or not len(ends) or ends[-1] != len(codes) - 1:
        raise DataError("compressed counts hold a character that is none of theirs, or are cut off")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        raise DataError("compressed counts hold a number of more than 35 bits")
    place = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << (5 * place), starts)
    values -= np.where(codes[ends] & 16, np.int64(1) << (5 * lengths), 0)
    runs = values.copy()
    runs[1::2] = np.cumsum(values[1::2])
    runs[2::2] = np.cumsum(values[2::2])
    return runs


def area(runs: NDArray[np.int64]) -> int:
    """Pixels inside."""
    return int(runs[1::2].sum())


def bounds(runs: NDArray[np.int64], height: int) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 around what is inside, None if nothing is."""
    stops = np.cumsum(runs)[1::2]
    starts = (stops - runs[1::2])[runs[1::2] > 0]
    lasts = stops[runs[1::2] > 0] - 1
    if not len(starts):
        return None
    x1, x2 = int(starts[0]) // height, int(lasts[-1]) // height + 1
    if (starts // height != lasts // height).any():  # a run over the end of a column
        return x1, 0, x2, height
    return x1, int((starts % height).min()), x2, int((lasts % height).max()) + 1
