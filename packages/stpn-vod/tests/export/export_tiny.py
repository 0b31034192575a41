"""A small detector with weights that make its prompts and scores matter, and frames for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.model_file import TrainedDetector

SIZE = (64, 96)
SIDES = {"short_side": 60, "long_side": 90}  # so that frames are padded
TINY = DetectorConfig(
    encoder="swin",
    arch={"embed_dim": 8, "depths": (2, 1), "num_heads": (1, 2)},
    predictor="transformer",
    predictor_options={"num_heads": 2},
    num_prompts=2,
    num_classes=3,
    fpn_channels=8,
    fc_channels=16,
    test_proposals=30,
)


def tiny(config: DetectorConfig = TINY) -> TrainedDetector:
    """Random weights, spread so that scores, boxes and prompts differ."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_detector(config).eval()
    with torch.no_grad():
        for weight in model.rpn.parameters():
            weight.mul_(20)
        model.roi.regress.weight.mul_(300)
        model.roi.classify.weight.mul_(100)
        if model.stpn.predictor is not None:
            for weight in model.stpn.predictor.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))
    return TrainedDetector(model, config, ("ant", "bee", "cat"), Path("tiny.safetensors"))


def frame(seed: int, shift: int = 0) -> np.ndarray:
    """uint8 (80, 120, 3): coloured blocks that move."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (10, 15, 3)).astype(np.uint8)
    return np.roll(blocks.repeat(8, 0).repeat(8, 1), shift, 1)
