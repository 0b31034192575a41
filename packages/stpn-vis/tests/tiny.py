"""A small segmenter and what it is asked."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from stpn_vis.build import build_segmenter
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.predictions import Target
from stpn_vis.segmenter import Segmenter

CONFIG = SegmenterConfig(
    encoder="swin",
    arch={"embed_dim": 16, "depths": (2, 1, 1, 1), "num_heads": (2, 4, 8, 16), "mlp_ratio": 2.0},
    drop_path=0.0,
    num_classes=4,
    num_queries=6,
    hidden=32,
    mask_dim=16,
    heads=4,
    pixel_layers=1,
    pixel_ffn=32,
    decoder_layers=4,
    decoder_ffn=32,
    points=64,
)
LOSSES = {
    f"loss_{kind}{suffix}"
    for kind in ("ce", "mask", "dice")
    for suffix in ("", "_0", "_1", "_2", "_3")
}


def segmenter(**changes: object) -> Segmenter:
    torch.manual_seed(0)
    return build_segmenter(dataclasses.replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]


def inputs(batch: int = 2, support: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, 3, 64, 96, generator=generator)
    images[..., 90:] = 0
    frames = torch.randn(batch, support, 3, 64, 96, generator=generator)
    return images, frames, torch.ones(batch, support, dtype=torch.bool)


def objects(*labels: int, seed: int = 0) -> Target:
    """Rectangles somewhere in an image of 64 x 96 pixels."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(len(labels), 64, 96, dtype=torch.uint8)
    for mask in masks:
        top, left = (int(torch.randint(0, 40, (), generator=generator)) for _ in range(2))
        mask[top : top + 20, left : left + 30] = 1
    return Target(torch.tensor(labels, dtype=torch.int64), masks)


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()
