"""Which query of a frame is which query of the frame before.

Q queries, D their width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stpn_core.errors import NumericsError
from stpn_vis.assignment import EPS
from stpn_vis.assignment import assign as assign


def match_queries(previous: Tensor, current: Tensor) -> Tensor:
    """For each slot of `previous` the query of `current` that continues it, (Q,) int64 on the CPU.

    previous, current (Q, D) embeddings. The assignment with the largest sum of cosine similarities
    (MinVIS, `match_from_embds`). Raises NumericsError if an embedding is not finite.
    """
    cost = 1 - _unit(previous) @ _unit(current).T
    matrix = cost.double().cpu().numpy()
    if not np.isfinite(matrix).all():
        raise NumericsError(
            "query embeddings hold NaN or infinity: the weights are damaged, or the precision is "
            "too low for them; try --precision fp32"
        )
    return torch.from_numpy(assign(matrix))


def _unit(embeddings: Tensor) -> Tensor:
    embeddings = embeddings.float()
    return embeddings / embeddings.norm(dim=1, keepdim=True).clamp(min=EPS)
