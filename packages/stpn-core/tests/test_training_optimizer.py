from __future__ import annotations

import pytest
import torch
from torch import nn

from stpn_core.errors import InputError
from stpn_core.training import param_groups, set_lr


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.predictor = nn.ModuleDict({"fc": nn.Linear(2, 2), "norm1": nn.LayerNorm(2)})
        self.predictor_like = nn.Linear(2, 2)
        self.attn = nn.Linear(2, 2, bias=False)
        self.attn.relative_position_bias_table = nn.Parameter(torch.zeros(3))
        self.absolute_pos_embed = nn.Parameter(torch.zeros(3))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.tied = self.attn


def decays(model: Model, **options: object) -> dict[str, tuple[float, float]]:
    """(lr, weight decay) by parameter name."""
    names = {id(p): name for name, p in model.named_parameters()}
    groups = param_groups(model, 0.1, 0.05, **options)  # type: ignore[arg-type]
    return {names[id(p)]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}


def test_norms_and_position_tables_do_not_decay_biases_do() -> None:
    assert decays(Model()) == {
        "absolute_pos_embed": (0.1, 0.0),
        "predictor.fc.weight": (0.1, 0.05),
        "predictor.fc.bias": (0.1, 0.05),
        "predictor.norm1.weight": (0.1, 0.0),
        "predictor.norm1.bias": (0.1, 0.0),
        "predictor_like.weight": (0.1, 0.05),
        "predictor_like.bias": (0.1, 0.05),
        "attn.weight": (0.1, 0.05),
        "attn.relative_position_bias_table": (0.1, 0.0),
    }


def test_biases_can_be_spared_too() -> None:
    assert decays(Model(), no_bias_decay=True)["predictor.fc.bias"] == (0.1, 0.0)
    assert decays(Model(), no_bias_decay=True)["predictor.fc.weight"] == (0.1, 0.05)


def test_the_longest_prefix_gives_the_multiplier() -> None:
    found = decays(Model(), lr_multipliers={"predictor": 10, "predictor.fc": 2, "frozen": 3})
    assert found["predictor.norm1.weight"] == (1.0, 0.0)
    assert found["predictor.fc.weight"] == (0.2, 0.05)
    assert found["predictor_like.weight"] == (0.1, 0.05)


def test_a_prefix_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match=r"'predicter'.*predictor, predictor_like"):
        param_groups(Model(), 0.1, 0.05, lr_multipliers={"predicter": 10})


def test_setting_the_rate_keeps_the_ratios_also_after_loading() -> None:
    optimizers = []
    for _ in range(2):
        groups = param_groups(Model(), 0.1, 0.05, lr_multipliers={"predictor": 10})
        optimizers.append(torch.optim.AdamW(groups))
    optimizers[1].load_state_dict(optimizers[0].state_dict())
    set_lr(optimizers[1], 0.01)
    assert {g["lr"] for g in optimizers[1].param_groups} == {0.01, 0.1}
