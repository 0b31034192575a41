"""Build a tracker network from its configuration: the one place where parts are chosen and joined."""

from __future__ import annotations

from typing import Any

from torch import nn

from stpn_core import create_predictor
from stpn_core.cvt import CvtEncoder
from stpn_core.cvt_build import create_cvt
from stpn_core.cvt_prompts import side_of
from stpn_core.errors import InputError
from stpn_core.presence import PromptPresence
from stpn_vot.build_config import TrackerConfig
from stpn_vot.corner_head import CornerHead, PlainCorner, PyramidCorner
from stpn_vot.mixformer import MixFormer
from stpn_vot.score_head import ScoreHead

STRIDE = 16


def build_tracker(config: TrackerConfig) -> MixFormer:
    """A tracker network with fresh weights.

    Raises InputError for an unknown encoder or predictor, or options that do not fit together.
    """
    _check(config)
    arch: dict[str, Any] = dict(config.arch)
    encoder = create_cvt(
        config.encoder,
        drop_path=config.drop_path,
        checkpointing=config.checkpointing,
        prompt_attention=config.prompt_attention,
        prompt_downscale=config.prompt_downscale,
        **arch,
    )
    if encoder.strides[-1] != STRIDE or arch.get("class_token"):
        raise InputError(
            f"{config.encoder}: a tracker needs three stages and no class token; its last map is at "
            f"stride {encoder.strides[-1]}"
        )
    width = encoder.support_dim
    corner = PlainCorner if config.head == "plain" else PyramidCorner
    head = CornerHead(corner, width, config.head_channels, frozen=config.frozen_head_norms)
    return MixFormer(
        encoder,
        head,
        ScoreHead(width, config.score_heads) if config.score else None,
        _predictor(config, encoder),
        _presence(config, encoder),
        support_grad=config.support_grad,
    )


def _check(config: TrackerConfig) -> None:
    for name in ("template_size", "search_size"):
        side = getattr(config, name)
        if side < STRIDE or side % STRIDE:
            raise InputError(f"{name} must be a multiple of {STRIDE} pixels, got {side}")
    if config.head_channels < 8 or config.head_channels % 8:
        raise InputError(f"head_channels must be a multiple of 8, got {config.head_channels}")
    if config.prompt_aux and (config.predictor is None or config.num_classes < 1):
        raise InputError(
            f"prompt_aux={config.prompt_aux}: needs a predictor and num_classes, got "
            f"{config.predictor} and {config.num_classes}"
        )
    if config.predictor is None:
        return
    as_map = config.prompt_attention == "map" or (
        config.prompt_downscale == "conv" and not config.deep
    )
    if as_map and side_of(config.num_prompts) not in (2, 3):
        raise InputError(
            f"num_prompts={config.num_prompts}: as a map there are 4 or 9 prompts; others take "
            "prompt_downscale=linear and prompt_attention=bypass"
        )
    if config.prompt_downscale == "predict" and not config.deep:
        raise InputError("prompt_downscale=predict gives each stage prompts of its own: set deep")


def _predictor(config: TrackerConfig, encoder: CvtEncoder) -> nn.Module | None:
    if config.predictor is None:
        return None
    options: dict[str, Any] = dict(config.predictor_options)
    return create_predictor(
        config.predictor,
        support_dim=encoder.support_dim,
        prompt_dims=encoder.prompt_dims if config.deep else encoder.prompt_dim,
        num_prompts=config.num_prompts,
        **options,
    )


def _presence(config: TrackerConfig, encoder: CvtEncoder) -> PromptPresence | None:
    if not config.prompt_aux:
        return None
    dim = encoder.prompt_dims[0] if config.deep else encoder.prompt_dim
    return PromptPresence(dim, config.num_classes, config.prompt_aux)
