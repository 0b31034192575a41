"""Defects that show only when masks are looked at: boxes and areas that are not those of the mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from stpn_data import rle
from stpn_data.defects import Defect
from stpn_data.index import VideoIndex

_PIXELS = 3  # that a side may be off: annotators round, and so do those who resize
_AREA_SHARE, _SIDE_SHARE = 0.05, 0.01  # of the area, of the longer side of the frame


def audit_masks(index: VideoIndex, *, progress: bool = True) -> Iterator[Defect]:
    """Boxes and areas that differ from those of their mask by more than rounding explains."""
    masks = index.masks
    if masks is None:
        return
    owner = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    bar = tqdm(owner, desc="comparing masks", unit="mask", disable=None if progress else True)
    for row, frame in enumerate(bar):
        width, height = (int(side) for side in index.sizes[frame])
        runs = rle.checked_runs(rle.decompress(masks.counts_of(row)), height, width)
        place = f"{index.frame_path(int(frame))} annotation {index.tracks[row]}"
        pixels, stated = rle.area(runs), float(masks.areas[row])
        if abs(pixels - stated) > max(_PIXELS**2, _AREA_SHARE * max(pixels, stated)):
            text = f"the area is given as {stated:g}, the mask has {pixels} pixels"
            yield Defect("area", place, text)
        around = rle.bounds(runs, height)
        off = np.abs(np.subtract(around, index.boxes[row])) if around else np.inf
        if np.max(off) > max(_PIXELS, _SIDE_SHARE * max(width, height)):
            given = ", ".join(f"{side:g}" for side in index.boxes[row])
            yield Defect("box and mask", place, f"the box is ({given}), the mask lies in {around}")
