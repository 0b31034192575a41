"""Small trackers for tests, with random weights or those of reference tensors."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from stpn_core.weights import load_state
from stpn_vot.build import build_tracker
from stpn_vot.build_config import TrackerConfig
from stpn_vot.conversion import convert_tracker
from stpn_vot.mixformer import MixFormer

TINY = TrackerConfig(
    "cvt",
    {"dims": (8, 12, 16), "depths": (1, 1, 2), "num_heads": (1, 2, 4)},
    template_size=48,
    search_size=96,
    head_channels=16,
    score_heads=4,
    predictor=None,
)
PROMPTED = dataclasses.replace(TINY, predictor="transformer")


def tracker(config: TrackerConfig = PROMPTED, seed: int = 0) -> MixFormer:
    """In evaluation mode, every weight random, so that nothing hides behind a zero or a one."""
    torch.manual_seed(seed)
    model = build_tracker(config)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            spread = torch.randn_like(tensor) * 0.3
            tensor.copy_(spread.abs() + 0.5 if name.endswith("running_var") else tensor + spread)
    return model.eval()


def golden_tracker(tensors: dict[str, Tensor], facts: dict[str, Any]) -> MixFormer:
    """The tracker of reference tensors, converted from the original's names."""
    prefix = "weights."
    theirs = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    converted = convert_tracker(theirs, {})
    assert converted is not None
    state, _ = converted
    sizes = facts["backbone"]
    arch = {
        "dims": tuple(sizes["DIM_EMBED"]),
        "depths": tuple(sizes["DEPTH"]),
        "num_heads": tuple(sizes["NUM_HEADS"]),
    }
    config = dataclasses.replace(
        TINY,
        arch=arch,
        template_size=facts["template_size"][0],
        search_size=facts["search_size"][0],
        head_channels=facts["head"]["channel"],
        score_heads=facts["spm"]["heads"],
    )
    model = build_tracker(config).eval()
    report = load_state(model, state, what="MixFormer", min_matched=1.0)
    assert not report.unexpected
    return model


def images(*shape: int, seed: int = 1) -> Tensor:
    """Normal noise, always the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
