"""Build CvT encoders: the published sizes and sizes of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from timm.layers import trunc_normal_
from torch import nn

from stpn_core.cvt import CvtEncoder
from stpn_core.cvt_parts import ConvEmbed, CvtBlock, CvtStage
from stpn_core.cvt_prompts import LinearDownscale
from stpn_core.errors import InputError
from stpn_core.pretrained import load_encoder_file

KERNELS, STRIDES, PADDINGS = (7, 3, 3), (4, 2, 2), (2, 1, 1)


@dataclass(frozen=True)
class CvtSizes:
    """What makes one CvT differ from another. class_token: the last stage has one."""

    dims: tuple[int, ...] = (64, 192, 384)
    depths: tuple[int, ...] = (1, 4, 16)
    num_heads: tuple[int, ...] = (1, 3, 6)
    mlp_ratio: float = 4.0
    class_token: bool = False


_SIZES = {
    "cvt": CvtSizes(),
    "cvt_13": CvtSizes(depths=(1, 2, 10)),
    "cvt_21": CvtSizes(),
    "cvt_w24": CvtSizes((192, 768, 1024), (2, 2, 20), (3, 12, 16)),
}
_SHARED = ("class_token", "prompt_attention", "prompt_downscale")


def create_cvt(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | Path | None = None,
    drop_path: float = 0.0,
    checkpointing: bool = False,
    out_indices: Sequence[int] | None = None,
    **arch: Any,
) -> CvtEncoder:
    """Build a CvT encoder; see `create_encoder`. drop_path is that of the last stage's last block.

    Raises InputError for `pretrained`: timm publishes no CvT; read a file with `weights`.
    """
    walk = {key: arch.pop(key) for key in ("prompt_attention", "prompt_downscale") if key in arch}
    sizes = cvt_sizes(name, **arch)
    if pretrained and weights is None:
        raise InputError(
            f"{name}: no weights are fetched by themselves; download microsoft/cvt-21-384 (or "
            "CvT-21-384x384-IN-1k.pth) and name the file with weights="
        )
    encoder = CvtEncoder(
        cvt_stages(sizes, drop_path), checkpointing=checkpointing, out_indices=out_indices, **walk
    )
    if weights is not None:
        load_encoder_file(encoder, weights)
        if isinstance(encoder.linear_downscale, LinearDownscale):
            encoder.linear_downscale.start_from(
                [stage.patch_embed for stage in list(encoder.stages)[1:]]  # type: ignore[misc]
            )
    return encoder


def cvt_sizes(name: str, **arch: Any) -> CvtSizes:
    """Sizes of a named CvT with some of them replaced; InputError if they cannot be."""
    if name not in _SIZES:
        raise InputError(f"unknown encoder {name!r}; CvT encoders: {', '.join(_SIZES)}")
    free = [field.name for field in fields(CvtSizes)] if name == "cvt" else ["class_token"]
    if unknown := sorted(set(arch) - set(free)):
        takes = ", ".join(dict.fromkeys([*free, *_SHARED]))
        raise InputError(f"{name} takes no option {unknown[0]!r}; it takes {takes}")
    sizes = replace(_SIZES[name], **arch)
    sizes = replace(
        sizes,
        dims=tuple(sizes.dims),
        depths=tuple(sizes.depths),
        num_heads=tuple(sizes.num_heads),
    )
    if not len(sizes.dims) == len(sizes.depths) == len(sizes.num_heads) <= len(KERNELS):
        raise InputError(
            f"dims {sizes.dims}, depths {sizes.depths} and num_heads {sizes.num_heads} must be of "
            f"one length, at most {len(KERNELS)}"
        )
    for stage, (dim, heads) in enumerate(zip(sizes.dims, sizes.num_heads, strict=True)):
        if dim % heads:
            raise InputError(f"stage {stage}: {dim} channels do not split over {heads} heads")
    return sizes


def cvt_stages(sizes: CvtSizes, drop_path: float = 0.0) -> list[CvtStage]:
    """Stages with fresh weights."""
    stages = []
    last = len(sizes.dims) - 1
    for i, (dim, depth, heads) in enumerate(
        zip(sizes.dims, sizes.depths, sizes.num_heads, strict=True)
    ):
        inputs = sizes.dims[i - 1] if i else 3
        # on the CPU even where the model is built without data, on the meta device
        rates = torch.linspace(0, drop_path if i == last else 0.0, depth, device="cpu").tolist()
        blocks = [CvtBlock(dim, heads, sizes.mlp_ratio, rate) for rate in rates]
        embed = ConvEmbed(inputs, dim, KERNELS[i], STRIDES[i], PADDINGS[i])
        stages.append(CvtStage(embed, blocks, sizes.class_token and i == last))
        stages[-1].apply(_start)
        token = stages[-1].cls_token
        if token is not None:
            trunc_normal_(token, std=0.02)
    return stages


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
