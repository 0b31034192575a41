"""Prompts of single frames, joined into a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpn_core.encoder import Prompts


def stack_prompts(rows: Sequence[Prompts | None]) -> tuple[Prompts | None, Tensor | None]:
    """Rows of batch size 1 as one batch, and which rows have prompts (None: all of them).

    Rows without prompts hold zeros, which `STPN.encode` does not look at.
    """
    given = next((row for row in rows if row is not None), None)
    if given is None:
        return None, None
    layers = [given] if isinstance(given, Tensor) else list(given)
    filled = [
        [torch.zeros_like(p) for p in layers] if row is None else
        [row] if isinstance(row, Tensor) else list(row)
        for row in rows
    ]  # fmt: skip
    stacked = [torch.cat(layer) for layer in zip(*filled, strict=True)]
    prompts = stacked[0] if isinstance(given, Tensor) else stacked
    if all(row is not None for row in rows):
        return prompts, None
    return prompts, torch.tensor([row is not None for row in rows], device=layers[0].device)
