"""Queries of successive frames become slots: `stpn_vis.linking` in numpy.

Q queries or slots, C classes, D query width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import NumericsError
from stpn_vis.assignment import EPS, assign

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class LinkState:
    """embeddings (Q, D): of the latest frame, in the order of slots. logit_sum (Q, C + 1) float64
    over the `frames` seen."""

    embeddings: Array
    logit_sum: Array
    frames: int

    def scores(self) -> Array:
        """Class probabilities (Q, C) of the mean logits, without "no object", float32."""
        mean = (self.logit_sum / self.frames).astype(np.float32)
        powers = np.exp(mean - mean.max(1, keepdims=True))
        return (powers / powers.sum(1, keepdims=True))[:, :-1]


def link(
    state: LinkState | None, logits: Array, embeddings: Array
) -> tuple[NDArray[np.int64], LinkState]:
    """Take the next frame; return the query of each slot, (Q,), and the new state; None for the
    first frame, whose queries are the slots. Raises NumericsError if a value is not finite."""
    if not (np.isfinite(logits).all() and np.isfinite(embeddings).all()):
        raise NumericsError("predictions hold NaN or infinity: the exported model is damaged")
    if state is None:
        return np.arange(len(embeddings)), LinkState(embeddings, logits.astype(np.float64), 1)
    cost = 1 - _unit(state.embeddings) @ _unit(embeddings).T
    order = assign(cost.astype(np.float64))
    logit_sum = state.logit_sum + logits.astype(np.float64)[order]
    return order, LinkState(embeddings[order], logit_sum, state.frames + 1)


def _unit(embeddings: Array) -> Array:
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), EPS)
