"""One object of a YouTube-VIS file: its lists over the frames of its video, checked place by place."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from stpn_data import rle
from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.index import OCCLUDED
from stpn_data.masks import CROWD, OCCLUSION, OCCLUSIONS
from stpn_data.polygon import polygons_mask

_LISTS = ("segmentations", "bboxes", "areas", "occlusion")


class Visible(NamedTuple):
    """An object where it is visible."""

    t: int
    box: tuple[float, float, float, float]  # x1, y1, x2, y2
    area: float  # as annotated
    flags: int
    counts: bytes  # compressed RLE


def read_object(
    entry: dict[str, Any],
    length: int,
    size: tuple[int, int],
    place: str,
    crowd: bool,
    on_defect: OnDefect,
    on_oddity: OnDefect,
) -> list[Visible]:
    """Where an object of a video of `length` frames of `size` (h, w) is visible, frame by frame.

    A frame with a defect is left out. Raises DataError for lists of another length.
    """
    lists = {name: _frames(entry, name, length) for name in _LISTS}
    if lists["segmentations"] is None:
        raise DataError("no segmentations")
    found = []
    for t in range(length):
        here = {name: None if values is None else values[t] for name, values in lists.items()}
        try:
            seen = _visible(t, here, lists["bboxes"] is not None, size, crowd, place, on_oddity)
        except DataError as error:
            on_defect(Defect("mask", f"{place}/segmentations/{t}", str(error)))
            continue
        if seen is not None:
            found.append(seen)
    return found


def _frames(entry: dict[str, Any], name: str, length: int) -> list[Any] | None:
    values = entry.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != length:
        shown = f"has {len(values)} entries" if isinstance(values, list) else "is no list"
        raise DataError(f"{name} {shown}, but its video has {length} frames")
    return values


def _visible(
    t: int,
    here: dict[str, Any],
    boxed: bool,
    size: tuple[int, int],
    crowd: bool,
    place: str,
    on_oddity: OnDefect,
) -> Visible | None:
    """The object in frame t, None if it is not visible there."""
    segmentation, bbox = here["segmentations"], here["bboxes"]
    if segmentation is None and bbox is None:
        return None
    if boxed and (segmentation is None or bbox is None):
        absent = "segmentation" if segmentation is None else "box"
        text = f"only its {absent} is null; the object is left out of this frame"
        on_oddity(Defect("null in one list", f"{place}/segmentations/{t}", text))
        return None
    runs = segmentation_runs(segmentation, size, f"{place}/segmentations/{t}", on_oddity)
    pixels = 0 if runs is None else rle.area(runs)
    if runs is None or not pixels:
        text = "no pixel of the object; it is left out of this frame"
        on_oddity(Defect("empty mask", f"{place}/segmentations/{t}", text))
        return None
    area = pixels if here["areas"] is None else here["areas"]
    if not _is_number(area) or area < 0:
        raise DataError(f"its area is {str(area)[:40]!r}, expected a number")
    box = _box(bbox) if boxed else rle.bounds(runs, size[0])
    assert box is not None
    return Visible(t, box, area, _flags(here["occlusion"], crowd), _compressed(segmentation, runs))


def segmentation_runs(
    segmentation: Any, size: tuple[int, int], place: str, on_oddity: OnDefect
) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Run lengths of a segmentation in any of its forms; None if no polygon is left.

    size: (h, w). Polygons of fewer than 6 numbers go to `on_oddity`. Raises DataError for what is no
    mask of that size.
    """
    if isinstance(segmentation, list):
        good = [p for p in segmentation if not isinstance(p, list) or len(p) >= 6]
        if len(good) < len(segmentation):
            text = f"{len(segmentation) - len(good)} polygons of fewer than 6 numbers are dropped"
            on_oddity(Defect("short polygon", place, text))
        return rle.decompress(rle.encode(polygons_mask(good, *size))) if good else None
    if not isinstance(segmentation, dict):
        raise DataError(f"is {str(segmentation)[:40]!r}, expected RLE or a list of polygons")
    stated, counts = segmentation.get("size"), segmentation.get("counts")
    if stated != list(size):
        raise DataError(f"its size is {str(stated)[:40]}, but the frame has {list(size)}")
    if isinstance(counts, str):
        counts = rle.decompress(_ascii(counts))
    elif not isinstance(counts, list):
        raise DataError("its counts are neither text nor a list")
    return rle.checked_runs(counts, *size)


def _compressed(segmentation: Any, runs: np.ndarray[Any, np.dtype[np.int64]]) -> bytes:
    counts = segmentation.get("counts") if isinstance(segmentation, dict) else None
    return _ascii(counts) if isinstance(counts, str) else rle.compress(runs)


def _ascii(counts: str) -> bytes:
    if not counts.isascii():
        raise DataError("compressed counts hold a character that is none of theirs")
    return counts.encode()


def _box(bbox: Any) -> tuple[float, float, float, float]:
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_number(side) for side in bbox):
        raise DataError(f"its box is {str(bbox)[:60]}, expected [x, y, width, height]")
    x, y, width, height = bbox
    return x, y, x + width, y + height


def _flags(occlusion: Any, crowd: bool) -> int:
    if occlusion not in OCCLUSIONS:
        raise DataError(
            f"its occlusion is {str(occlusion)[:40]!r}, expected one of {OCCLUSIONS[1:]}"
        )
    level = OCCLUSIONS.index(occlusion)
    return (level > 1) * OCCLUDED | crowd * CROWD | level * OCCLUSION


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) < 1e9
    )
