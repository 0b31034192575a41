"""Run-length encoded masks, as YouTube-VIS files and pycocotools have them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_api

from stpn_core.errors import InputError

Rle = dict[str, Any]
"""`{"size": [height, width], "counts": bytes}`, compressed."""


def as_rle(segmentation: Any, height: int, width: int, where: str) -> Rle | None:
    """A mask from what a file holds: None, polygons, an uncompressed or a compressed RLE.

    Polygons of fewer than three corners are left out; no polygon at all is an empty mask. height
    and width are those of the frame, for polygons. Raises InputError naming `where`.
    """
    if segmentation is None:
        return None
    try:
        if isinstance(segmentation, list):
            polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
            if not polygons:
                return encode(np.zeros((height, width), np.uint8))
            return mask_api.merge(mask_api.frPyObjects(polygons, height, width))
        size, counts = segmentation["size"], segmentation["counts"]
        if isinstance(counts, list):
            return mask_api.frPyObjects(segmentation, *size)
        data = counts.encode("ascii") if isinstance(counts, str) else bytes(counts)
        return {"size": [int(size[0]), int(size[1])], "counts": data}
    except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"{where}: a segmentation is null, a list of polygons or an RLE with size and counts, "
            f"not {str(segmentation)[:60]} ({error})"
        ) from error


def encode(mask: NDArray[np.uint8]) -> Rle:
    """The RLE of a mask uint8 (h, w) of zeros and ones."""
    return mask_api.encode(np.asfortranarray(mask))


def decode(rle: Rle) -> NDArray[np.uint8]:
    """The mask uint8 (h, w) of an RLE."""
    return mask_api.decode(rle)


def area(rle: Rle) -> int:
    """Pixels of an RLE."""
    return int(mask_api.area(rle))


def as_json(rle: Rle | None) -> dict[str, Any] | None:
    """An RLE as JSON holds it: counts as text."""
    if rle is None:
        return None
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
