"""Detector checkpoints of the released STPN and of mmdet, brought to the names used here."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.weights import convert_checkpoint
from stpn_vod.build_config import RELEASED_STDS, SINGLE_FRAME_STDS, DetectorConfig

TASK = "vod"
VID_PAD_TO = 16
"""Frames are padded to multiples of this in the released configurations for ImageNet VID."""
VID_CLASSES = 30

_HEADS = (
    (r"neck\.lateral_convs\.(\d+)\.conv\.", r"fpn.lateral.\1."),
    (r"neck\.fpn_convs\.(\d+)\.conv\.", r"fpn.output.\1."),
    (r"rpn_head\.rpn_conv\.", "rpn.conv."),
    (r"rpn_head\.rpn_cls\.", "rpn.objectness."),
    (r"rpn_head\.rpn_reg\.", "rpn.deltas."),
    (r"roi_head\.bbox_head\.shared_fcs\.0\.", "roi.fc1."),
    (r"roi_head\.bbox_head\.shared_fcs\.1\.", "roi.fc2."),
    (r"roi_head\.bbox_head\.fc_cls\.", "roi.classify."),
    (r"roi_head\.bbox_head\.fc_reg\.", "roi.regress."),
    (
        r"roi_head\.bbox_head\.aggregator\.([01])\.(fc_embed|ref_fc_embed|fc|ref_fc)\.",
        r"selsa.aggregators.\1.\2.",
    ),
)
_NAMED_SWINS = {
    (96, (2, 2, 6, 2)): "swin_tiny",
    (96, (2, 2, 18, 2)): "swin_small",
    (128, (2, 2, 18, 2)): "swin_base",
    (192, (2, 2, 18, 2)): "swin_large",
}


def convert_detector(
    state: dict[str, Tensor], metadata: dict[str, str]
) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """A Faster R-CNN with Swin under mmdet's names, with or without STPN's predictor and the
    aggregators of mmtracking's SELSA, under ours.

    None for anything else, Mask R-CNN included (its encoder is what one starts from). The
    background is the last class on both sides, so no row moves. Box deviations, sampling and padding
    are not in such files: with a predictor they are those of the released STPN configuration, with
    aggregators alone those of mmtracking's SELSA, else the usual single-frame ones, padded as for
    ImageNet VID if there are its 30 classes. Raises
    InputError for a detector with parts unknown here, and for one on a ResNet.
    """
    prefix = "detector." if any(key.startswith("detector.") for key in state) else ""
    _refuse_resnet(state, prefix)
    first = f"{prefix}backbone.patch_embed.projection.weight"
    last = f"{prefix}roi_head.bbox_head.fc_cls.weight"
    masks = any(key.startswith(f"{prefix}roi_head.mask_head.") for key in state)
    if first not in state or last not in state or masks:
        return None
    backbone = convert_checkpoint(state)
    converted = {f"stpn.{key}": tensor for key, tensor in backbone.state.items()}
    strange = list(backbone.unknown)
    for key in backbone.ignored:
        name = _head_name(key.removeprefix(prefix))
        if name is None:
            strange.append(key)
        else:
            converted[name] = state[key]
    if strange:
        raise InputError(
            f"the checkpoint has {len(strange)} weights without a counterpart in this detector, "
            f"such as {', '.join(strange[:5])}"
        )
    config = _config_of(converted, backbone.metadata)
    header = detector_metadata(config, json.loads(metadata.get("classes", "[]")))
    return converted, header | {"converted_from": backbone.layout}


def _refuse_resnet(state: Mapping[str, Tensor], prefix: str) -> None:
    """mmtracking's own SELSA checkpoints, all of them on a ResNet or ResNeXt."""
    aggregates = any(key.startswith(f"{prefix}roi_head.bbox_head.aggregator.") for key in state)
    if aggregates and any(key.startswith(f"{prefix}backbone.layer1.") for key in state):
        raise InputError(
            "the checkpoint is SELSA on a ResNet (mmtracking's, with dilated stage 4 and one map at "
            "stride 16): neither that backbone nor its RPN has a counterpart here, where a SELSA "
            "detector stands on Swin or ViT and a feature pyramid; train one with the recipe "
            "vid_swin_t_selsa"
        )


def detector_metadata(config: DetectorConfig, classes: Sequence[str]) -> dict[str, str]:
    """Header of a detector's weights file; no class names means that they are not known.

    Raises InputError if there are not as many names as classes.
    """
    if classes and len(classes) != config.num_classes:
        raise InputError(f"{len(classes)} class names for weights of {config.num_classes} classes")
    header = {"task": TASK, "config": json.dumps(dataclasses.asdict(config))}
    return header | ({"classes": json.dumps(list(classes))} if classes else {})


def _head_name(key: str) -> str | None:
    for pattern, ours in _HEADS:
        name, found = re.subn(f"^{pattern}(?=(?:weight|bias)$)", ours, key)
        if found:
            return name
    return None


def _config_of(state: Mapping[str, Tensor], found: Mapping[str, str]) -> DetectorConfig:
    """The configuration that the shapes of converted weights imply."""
    swin: dict[str, Any] = json.loads(found["encoder"])
    predictor: dict[str, Any] = json.loads(found.get("predictor", "{}"))
    sizes: dict[str, Any] = {
        "window": swin.pop("window"),
        "num_classes": state["roi.classify.weight"].shape[0] - 1,
        "fpn_channels": state["rpn.conv.weight"].shape[0],
        "fc_channels": state["roi.fc1.weight"].shape[0],
    }
    encoder, arch = _named_swin(swin)
    if any(key.startswith("selsa.") for key in state):
        sizes["head"] = "selsa"
    if predictor or "head" in sizes or sizes["num_classes"] == VID_CLASSES:
        sizes["pad_to"] = VID_PAD_TO
    if not predictor and "head" in sizes:
        return DetectorConfig(
            encoder, arch, predictor=None, box_stds=RELEASED_STDS, train_proposals=600, **sizes
        )
    if not predictor:
        return DetectorConfig(
            encoder,
            arch,
            predictor=None,
            box_stds=SINGLE_FRAME_STDS,
            roi_samples=512,
            roi_low_quality=False,
            train_proposals=600,
            **sizes,
        )
    return DetectorConfig(
        encoder,
        arch,
        predictor=predictor["name"],
        num_prompts=predictor.get("num_prompts", 5),
        prompt_merge="released",
        box_stds=RELEASED_STDS,
        **sizes,
    )


def _named_swin(sizes: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Encoder name and options: one of the four published sizes, or "swin" with all of them."""
    sizes = {key: tuple(v) if isinstance(v, list) else v for key, v in sizes.items()}
    name = _NAMED_SWINS.get((sizes["embed_dim"], sizes["depths"]))
    usual_heads = tuple(sizes["embed_dim"] // 32 * 2**stage for stage in range(4))
    if name is None or sizes["num_heads"] != usual_heads or sizes["mlp_ratio"] != 4:
        return "swin", sizes
    return name, {}
