"""How predictors initialise their linear layers."""

from __future__ import annotations

from torch import nn


def init_linears(module: nn.Module) -> None:
    """Xavier uniform weights and zero biases in every Linear: variance is kept from end to end."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
