"""How much two tracks overlap over a whole video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_api

from stpn_vis.rle import Rle
from stpn_vis.video_ap.tracks import Track


def track_iou(found: Sequence[Track], truth: Sequence[Track]) -> NDArray[np.float64]:
    """IoU (n, m): intersections over unions, both summed over frames before the division.

    A frame in which one of two is absent adds the other's area to the union. Frames beyond the
    shorter list, and masks of different sizes, add to neither (YTVOSeval.computeIoU).
    """
    intersection = np.zeros((len(found), len(truth)))
    union = np.zeros((len(found), len(truth)))
    lengths = np.minimum.outer([len(d.masks) for d in found], [len(g.masks) for g in truth])
    for t in range(int(lengths.max(initial=0))):
        ds = [d.masks[t] if t < len(d.masks) else None for d in found]
        gs = [g.masks[t] if t < len(g.masks) else None for g in truth]
        shared, total = _frame(ds, gs)
        counted = lengths > t
        intersection += shared * counted
        union += total * counted
    return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)


def _frame(
    found: Sequence[Rle | None], truth: Sequence[Rle | None]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intersections and unions (n, m) of one frame, in pixels."""
    areas_d, areas_g = _areas(found), _areas(truth)
    shared = np.zeros((len(found), len(truth)))
    total = areas_d[:, None] + areas_g[None]
    rows = [i for i, mask in enumerate(found) if mask is not None]
    columns = [j for j, mask in enumerate(truth) if mask is not None]
    if rows and columns:
        # as if all were crowds: intersection over the first one's area, from which the whole number
        # of pixels comes back exactly; -1 where sizes differ
        share = np.asarray(
            mask_api.iou([found[i] for i in rows], [truth[j] for j in columns], [1] * len(columns))
        ).reshape(len(rows), len(columns))
        here = np.ix_(rows, columns)
        shared[here] = np.rint(np.maximum(share, 0) * areas_d[rows][:, None])
        total[here] = np.where(share < 0, 0, total[here])
    return shared, total - shared


def _areas(masks: Sequence[Rle | None]) -> NDArray[np.float64]:
    areas = np.zeros(len(masks))
    there = [i for i, mask in enumerate(masks) if mask is not None]
    if there:
        areas[there] = mask_api.area([masks[i] for i in there])
    return areas
