"""Mask2Former and MinVIS checkpoints of detectron2 and of Transformers, brought to the names here."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.swin_build import SwinSizes, swin_sizes
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.weight_names import depths_of, file_name, weight_names

TASK = "vis"

_DETECTRON2 = "sem_seg_head."
_TRANSFORMERS = "model.pixel_level_module."
_POINTS = SegmenterConfig().attention_points  # not in the shapes of any weight
# computed anew, or (the norm behind the last stage) of no use to a segmenter
_LEFT_OUT = re.compile(
    r"relative_position_index$|^criterion\.empty_weight$"
    r"|^model\.pixel_level_module\.encoder\.(?:model\.|swin\.)?layernorm\."
)
_SWINS = ("swin_tiny", "swin_small", "swin_base", "swin_large")


def convert_segmenter(
    state: dict[str, Tensor], metadata: dict[str, str]
) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """A Mask2Former with Swin under the names of detectron2 or of Transformers, under ours.

    MinVIS and the video Mask2Former have the weights of the image model. None for anything else.
    The header names what was left out: buffers that are computed anew, and Transformers' norm
    behind the last stage, which nothing reads. Raises InputError for a Mask2Former on another
    backbone, and, naming them, for weights without a counterpart and for missing ones.
    """
    if any(key.startswith(f"{_DETECTRON2}predictor.") for key in state):
        layout = "detectron2"
        kept = {_current_name(key): value for key, value in state.items()}
    elif any(key.startswith(_TRANSFORMERS) for key in state):
        layout = "transformers"
        kept = dict(state)
    else:
        return None
    left_out = sorted(key for key in kept if _LEFT_OUT.search(key))
    kept = {key: value for key, value in kept.items() if key not in left_out}
    if layout == "transformers":
        kept = _from_transformers(kept)
    converted = _from_detectron2(kept)
    classes = json.loads(metadata.get("classes", "[]"))
    header = segmenter_metadata(config_of(kept), classes)
    return converted, header | {"converted_from": layout, "left_out": json.dumps(left_out)}


def segmenter_metadata(config: SegmenterConfig, classes: Sequence[str]) -> dict[str, str]:
    """Header of a segmenter's weights file; no class names means that they are not known.

    Raises InputError if there are not as many names as classes.
    """
    if classes and len(classes) != config.num_classes:
        raise InputError(f"{len(classes)} class names for weights of {config.num_classes} classes")
    header = {"task": TASK, "config": json.dumps(dataclasses.asdict(config))}
    return header | ({"classes": json.dumps(list(classes))} if classes else {})


def _current_name(key: str) -> str:
    """detectron2's name of today for one from before Mask2Former had versions."""
    key = key.replace("static_query", "query_feat")
    head = key.startswith(_DETECTRON2)
    if head and not key.startswith((f"{_DETECTRON2}predictor.", f"{_DETECTRON2}pixel_decoder.")):
        key = f"{_DETECTRON2}pixel_decoder.{key.removeprefix(_DETECTRON2)}"
    return key


def _from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under detectron2's names, parts of a joint projection put together again."""
    given = {file_name(key): value for key, value in state.items()}
    if len(given) < len(state):
        raise InputError("the checkpoint holds the same weight under two names of Transformers'")
    found: dict[str, Tensor] = {}
    for names in weight_names(depths_of(given, "transformers")):
        if all(name in given for name in names.transformers):
            found[names.detectron2] = torch.cat([given.pop(name) for name in names.transformers])
    return found | given


def _from_detectron2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    depths = depths_of(state, "detectron2")
    if len(depths.stages) != 4:
        raise InputError(
            "the checkpoint is a Mask2Former whose backbone is no Swin (a ResNet?); it has no "
            "counterpart here, where a segmenter stands on Swin or ViT"
        )
    names = weight_names(depths)
    missing = [n.detectron2 for n in names if n.detectron2 not in state]
    known = {n.detectron2 for n in names}
    strange = [key for key in state if key not in known]
    for keys, what in ((strange, "without a counterpart here"), (missing, "missing in it")):
        if keys:
            raise InputError(
                f"the checkpoint is a Mask2Former with {len(keys)} weights {what}, such as "
                + ", ".join(repr(key)[:120] for key in keys[:5])
            )
    return {n.ours: state[n.detectron2] for n in names}


def config_of(state: Mapping[str, Tensor]) -> SegmenterConfig:
    """The configuration that the shapes of a model under detectron2's names imply.

    Both decoders have as many attention heads as the deformable attention, which has four points.
    """
    depths = depths_of(state, "detectron2")
    head = "sem_seg_head"
    pixel, query = f"{head}.pixel_decoder", f"{head}.predictor"
    if not depths.pixel_layers or not depths.decoder_layers:
        raise InputError("the checkpoint is a Mask2Former without layers in one of its decoders")
    pixel_layer = f"{pixel}.transformer.encoder.layers.0"
    levels, hidden = state[f"{pixel}.transformer.level_embed"].shape
    tables = "blocks.0.attn.relative_position_bias_table"
    width = state["backbone.patch_embed.norm.weight"].shape[0]
    sizes = SwinSizes(
        width,
        depths.stages,
        tuple(state[f"backbone.layers.{i}.{tables}"].shape[1] for i in range(len(depths.stages))),
        state["backbone.layers.0.blocks.0.mlp.fc1.weight"].shape[0] / width,
        (round(state[f"backbone.layers.0.{tables}"].shape[0] ** 0.5) + 1) // 2,
    )
    encoder = next((n for n in _SWINS if swin_sizes(n, window=sizes.window) == sizes), "swin")
    arch = {} if encoder != "swin" else dataclasses.asdict(sizes)
    arch.pop("window", None)
    return SegmenterConfig(
        encoder,
        arch,
        window=sizes.window,
        predictor=None,
        num_classes=state[f"{query}.class_embed.weight"].shape[0] - 1,
        num_queries=state[f"{query}.query_feat.weight"].shape[0],
        hidden=hidden,
        mask_dim=state[f"{pixel}.mask_features.weight"].shape[0],
        heads=state[f"{pixel_layer}.self_attn.attention_weights.weight"].shape[0]
        // (levels * _POINTS),
        pixel_layers=depths.pixel_layers,
        pixel_ffn=state[f"{pixel_layer}.linear1.weight"].shape[0],
        decoder_layers=depths.decoder_layers,
        decoder_ffn=state[f"{query}.transformer_ffn_layers.0.linear1.weight"].shape[0],
    )
