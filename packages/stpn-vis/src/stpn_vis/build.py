"""Build a segmenter from its configuration: the one place where parts are chosen and joined."""

from __future__ import annotations

from typing import Any

from torch import nn

from stpn_core import STPN, create_encoder, create_predictor
from stpn_core.encoder import PromptedEncoder
from stpn_core.errors import InputError
from stpn_core.presence import PromptPresence
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.criterion import Criterion
from stpn_vis.matcher import MatchCost
from stpn_vis.pixel_decoder import GROUPS, PixelDecoder
from stpn_vis.query_decoder import QueryDecoder
from stpn_vis.segmenter import Segmenter


def build_segmenter(config: SegmenterConfig, *, pretrained: bool = False) -> Segmenter:
    """A segmenter with fresh weights; `pretrained` fetches timm's for the encoder.

    Raises InputError for an unknown encoder or predictor, or options that do not fit together.
    """
    _check(config)
    encoder = build_encoder(config, pretrained=pretrained)
    stpn = STPN(encoder, _predictor(config, encoder), support_grad=config.support_grad)
    pixel_decoder = PixelDecoder(
        encoder.channels,
        config.hidden,
        config.mask_dim,
        layers=config.pixel_layers,
        ffn=config.pixel_ffn,
        heads=config.heads,
        points=config.attention_points,
        sampling=config.sampling,
    )
    decoder = QueryDecoder(
        config.num_classes,
        config.hidden,
        config.mask_dim,
        queries=config.num_queries,
        layers=config.decoder_layers,
        ffn=config.decoder_ffn,
        heads=config.heads,
        levels=len(encoder.channels) - 1,
    )
    criterion = Criterion(
        MatchCost(config.class_weight, config.mask_weight, config.dice_weight),
        no_object_weight=config.no_object_weight,
        points=config.points,
        oversample=config.oversample,
        importance=config.importance,
    )
    return Segmenter(stpn, pixel_decoder, decoder, criterion, presence=_presence(config, encoder))


def build_encoder(config: SegmenterConfig, *, pretrained: bool = False) -> PromptedEncoder:
    """The encoder alone. Raises InputError if its maps do not start at stride 4 and halve."""
    arch: dict[str, Any] = dict(config.arch)
    if config.encoder.startswith("swin"):
        arch["window"] = config.window
    encoder = create_encoder(
        config.encoder,
        pretrained=pretrained,
        drop_path=config.drop_path,
        checkpointing=config.checkpointing,
        prompt_merge=config.prompt_merge,
        **arch,
    )
    if len(encoder.strides) < 2 or encoder.strides != tuple(
        4 * 2**level for level in range(len(encoder.strides))
    ):
        raise InputError(
            f"{config.encoder} gives maps at strides {encoder.strides}; a segmenter needs 4, 8, …"
        )
    return encoder


def _check(config: SegmenterConfig) -> None:
    for name in ("num_classes", "num_queries", "mask_dim", "heads", "attention_points", "points"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} must be at least 1, got {getattr(config, name)}")
    for name in ("pixel_layers", "decoder_layers"):
        if getattr(config, name) < 0:
            raise InputError(f"{name} must not be negative, got {getattr(config, name)}")
    if config.hidden < 1 or config.hidden % GROUPS or config.hidden % config.heads:
        raise InputError(
            f"hidden={config.hidden} must be a multiple of {GROUPS} (the groups of its norms) and "
            f"of heads={config.heads}"
        )
    if config.oversample < 1 or not 0 <= config.importance <= 1:
        raise InputError(
            f"oversample={config.oversample} must be at least 1, and importance="
            f"{config.importance} between 0 and 1"
        )
    if config.no_object_weight <= 0:
        raise InputError(f"no_object_weight must be above 0, got {config.no_object_weight}")


def _predictor(config: SegmenterConfig, encoder: PromptedEncoder) -> nn.Module | None:
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


def _presence(config: SegmenterConfig, encoder: PromptedEncoder) -> PromptPresence | None:
    if config.prompt_aux == 0:
        return None
    if config.predictor is None:
        raise InputError(f"prompt_aux={config.prompt_aux} needs a prompt predictor; set it to 0")
    return PromptPresence(encoder.prompt_dim, config.num_classes, config.prompt_aux)
