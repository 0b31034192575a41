"""Build a detector from its configuration: the one place where parts are chosen and joined."""

from __future__ import annotations

from typing import Any

from torch import nn

from stpn_core import STPN, create_encoder, create_predictor
from stpn_core.encoder import PromptedEncoder
from stpn_core.errors import InputError
from stpn_vod.boxes import BoxCoder
from stpn_vod.build_config import DetectorConfig
from stpn_vod.detector import FasterRCNN
from stpn_vod.fpn import FeaturePyramid
from stpn_vod.matching import Matcher
from stpn_vod.postprocess import Postprocess
from stpn_vod.presence import PromptPresence
from stpn_vod.proposals import ProposalSelection
from stpn_vod.roi_head import RoIHead
from stpn_vod.rpn import RPN
from stpn_vod.sampling import Sampler
from stpn_vod.selsa import SelsaHead
from stpn_vod.selsa_detector import SelsaDetector

Detector = FasterRCNN | SelsaDetector


def build_detector(config: DetectorConfig, *, pretrained: bool = False) -> Detector:
    """A detector with fresh weights; `pretrained` fetches timm's for the encoder.

    Raises InputError for an unknown encoder or predictor, or options that do not fit together.
    """
    if config.num_classes < 1:
        raise InputError(
            f"a detector needs at least one class, got num_classes={config.num_classes}"
        )
    encoder = build_encoder(config, pretrained=pretrained)
    stpn = STPN(encoder, _predictor(config, encoder), support_grad=config.support_grad)
    fpn = FeaturePyramid(encoder.channels, config.fpn_channels)
    rpn = RPN(
        config.fpn_channels,
        sampler=Sampler(config.rpn_samples, 0.5, config.sampling),
        selection=ProposalSelection(
            train_limit=config.train_proposals, test_limit=config.test_proposals
        ),
        pad_to=config.pad_to,
    )
    roi = RoIHead(
        config.num_classes,
        config.fpn_channels,
        config.fc_channels,
        coder=BoxCoder(config.box_stds),
        matcher=Matcher(0.5, 0.5, low_quality=0.5 if config.roi_low_quality else None),
        sampler=Sampler(config.roi_samples, 0.25, config.sampling),
        postprocess=Postprocess(config.score_threshold, config.nms_iou, config.max_detections),
    )
    presence = _presence(config, encoder)
    match config.head:
        case "faster_rcnn":
            return FasterRCNN(stpn, fpn, rpn, roi, presence=presence, pad_to=config.pad_to)
        case "selsa":
            selsa = SelsaHead(config.fc_channels)
            return SelsaDetector(
                stpn, fpn, rpn, roi, selsa, presence=presence, pad_to=config.pad_to
            )
        case _:
            raise InputError(f"unknown head {config.head!r}; choose faster_rcnn or selsa")


def build_encoder(config: DetectorConfig, *, pretrained: bool = False) -> PromptedEncoder:
    """The encoder alone."""
    arch: dict[str, Any] = dict(config.arch)
    if config.encoder.startswith("swin"):
        arch["window"] = config.window
    return create_encoder(
        config.encoder,
        pretrained=pretrained,
        drop_path=config.drop_path,
        checkpointing=config.checkpointing,
        prompt_merge=config.prompt_merge,
        **arch,
    )


def _predictor(config: DetectorConfig, encoder: PromptedEncoder) -> nn.Module | None:
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


def _presence(config: DetectorConfig, encoder: PromptedEncoder) -> PromptPresence | None:
    if config.prompt_aux == 0:
        return None
    if config.predictor is None:
        raise InputError(f"prompt_aux={config.prompt_aux} needs a prompt predictor; set it to 0")
    return PromptPresence(encoder.prompt_dim, config.num_classes, config.prompt_aux)
