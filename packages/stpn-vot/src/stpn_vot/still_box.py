"""A box that never moves: what every tracker is to be better than."""

from __future__ import annotations

import numpy as np

from stpn_vot.metrics.got10k import Tracked
from stpn_vot.metrics.ground_truth import GroundTruth

STILL = "box that never moves"


def still_boxes(truth: GroundTruth) -> dict[str, Tracked]:
    """The given box of each sequence, on all of its frames."""
    return {
        name: Tracked(
            one.boxes,
            one.cover,
            np.repeat(one.boxes[None, :1], len(one.boxes), axis=1),
            one.size,
            None,
            one.object_class,
        )
        for name, one in truth.sequences.items()
    }
