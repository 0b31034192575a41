"""One start for a model and its twin, which a comparison of the two needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def same_start(
    build: Callable[[], Model], build_twin: Callable[[], nn.Module], seed: int, *, keep: str = ""
) -> Model:
    """A model with fresh weights; what it shares with its twin is what the twin has for that seed.

    The twin draws no random numbers for the parts it lacks, such as a predictor, so both start with
    the same values elsewhere only if they are taken from it. keep: prefix of the parts that stay as
    `build` made them, such as an encoder with weights from outside.
    """
    torch.manual_seed(seed)
    model = build()
    torch.manual_seed(seed)
    shared = build_twin().state_dict()
    taken = {key: v for key, v in shared.items() if not (keep and key.startswith(keep))}
    model.load_state_dict(taken, strict=False)
    return model
