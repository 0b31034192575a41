"""Queries of successive frames become slots, each of which follows one object: a function from
(state, frame) to (order, state).

Q queries or slots, C classes, D query width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_vis.query_matching import match_queries


@dataclass(frozen=True, eq=False)
class LinkState:
    """What linking knows of a video so far.

    embeddings (Q, D): of the latest frame, in the order of slots; the next frame is matched to
    these and not to older ones. logit_sum (Q, C + 1) float64 over the `frames` seen.
    """

    embeddings: Tensor
    logit_sum: Tensor
    frames: int

    @property
    def mean_logits(self) -> Tensor:
        """Mean class logits of each slot over the frames seen, (Q, C + 1) float32."""
        return (self.logit_sum / self.frames).float()


def link(state: LinkState | None, logits: Tensor, embeddings: Tensor) -> tuple[Tensor, LinkState]:
    """Take the next frame; return the query of each slot, (Q,) int64 on the CPU, and the new state.

    state: None for the first frame, whose queries are the slots. logits (Q, C + 1), embeddings
    (Q, D) of one frame. Raises NumericsError if an embedding is not finite.
    """
    if state is None:
        order = torch.arange(len(embeddings))
        return order, LinkState(embeddings, logits.double().cpu(), 1)
    order = match_queries(state.embeddings, embeddings)
    aligned = embeddings[order.to(embeddings.device)]
    logit_sum = state.logit_sum + logits.double().cpu()[order]
    return order, LinkState(aligned, logit_sum, state.frames + 1)


def best_slots(mean_logits: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `most` best pairs of slot and class: slots, labels and scores, by falling score.

    mean_logits (Q, C + 1), the last one "no object". A slot may come with several classes, as in
    Mask2Former; there may be fewer pairs than `most`.
    """
    scores = mean_logits.softmax(-1)[:, :-1]
    flat = scores.flatten()
    best, place = flat.sort(descending=True, stable=True)
    best, place = best[:most], place[:most]
    return place // scores.shape[1], place % scores.shape[1], best
