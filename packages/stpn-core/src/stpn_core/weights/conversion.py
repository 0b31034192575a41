"""Backbone and prompt predictor from other codebases' checkpoints, with every key accounted for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.weights.cvt_layouts import cvt_name, detect_cvt
from stpn_core.weights.swin_layouts import Layout, detect_layout, timm_name, timm_order

From = Literal[
    "auto", "microsoft", "mmdet", "released", "timm", "microsoft-cvt", "transformers-cvt"
]

_STEM = re.compile(r"^(.*?)patch_embed\.proj(?:ection)?\.weight$")
_HEADS = (
    *("head.", "neck.", "rpn_head.", "roi_head.", "roi_heads.", "bbox_head.", "mask_head."),
    *("proposal_generator.", "sem_seg_head.", "decode_head.", "auxiliary_head."),
)
_OWN = re.compile(
    r"^(?:stpn\.)?((?:encoder\.(?:body|norms|pyramid|linear_downscale)|predictor)\..+"
    r"|encoder\.stages\.\d+\.(?:(?:patch_embed|blocks)\..+|cls_token))$"
)
_PREDICTOR = "prompt_predictor."
_PREDICTOR_PARTS = ("query", "reduction", "fc_embed", "ref_fc_embed", "fc", "ref_fc")


@dataclass(frozen=True)
class Conversion:
    """Weights under STPN's names, and what became of each key of the file.

    state: `encoder.body.*` (timm's names), `encoder.norms.i.*`, `predictor.*`.
    metadata: `encoder` and `predictor` as JSON of what create_encoder and create_predictor take;
        `prompt_merge` is "released" for weights that the released STPN code trained.
    layout: where the file comes from. renamed: key of the file to key in `state`; "" for buffers
    that are computed anew. ignored: key to the reason. unknown: keys outside the backbone that
    nothing here knows.
    """

    state: dict[str, Tensor]
    metadata: dict[str, str]
    layout: str
    renamed: dict[str, str]
    ignored: dict[str, str]
    unknown: tuple[str, ...]


def convert_encoder(
    state: Mapping[str, Tensor], layout: From = "auto", *, where: str = "the checkpoint"
) -> dict[str, Tensor]:
    """The weights that `convert_checkpoint` finds: `encoder.*` and, if there, `predictor.*`."""
    return convert_checkpoint(state, layout, where=where).state


def convert_checkpoint(
    state: Mapping[str, Tensor], layout: From = "auto", *, where: str = "the checkpoint"
) -> Conversion:
    """Bring a Swin, CvT or timm ViT backbone, and a released STPN prompt predictor, to STPN's names.

    Weights of ours pass, also out of a task's model; what is not encoder or predictor is left out.

    state: tensors of a whole checkpoint, wrapper prefixes taken off. layout: which code wrote it.

    Raises:
        InputError: no backbone, more than one, another layout than asked for, or a backbone key
            without a counterpart (a Swin V2, absolute positions): it could not be exact.
    """
    if any(_OWN.match(key) for key in state):
        return _take_own(state, layout, where)
    cvt = _cvt_prefix(state)
    if cvt is not None:
        return _convert_cvt(state, cvt, layout, where)
    prefix = _backbone_prefix(state, where)
    inner = [key[len(prefix) :] for key in state if key.startswith(prefix)]
    found = detect_layout(inner)
    if found is None and any(re.match(r"blocks\.\d+\.", key) for key in inner):
        return _convert_vit(state, prefix, layout, where)
    if found is None:
        raise InputError(f"{where}: its backbone under {prefix!r} is neither a Swin nor a timm ViT")
    released = any(key.startswith(_PREDICTOR) for key in state)
    name = "released" if released else found
    if layout not in ("auto", name):
        raise InputError(
            f"{where}: asked to read as '{layout}', but its keys are those of '{name}'"
        )
    return _convert_swin(state, prefix, found, name, where)


def _backbone_prefix(state: Mapping[str, Tensor], where: str) -> str:
    prefixes = [match[1] for key in state if (match := _STEM.match(key))]
    if not prefixes:
        some = ", ".join(list(state)[:5])
        raise InputError(f"{where}: no backbone with patch_embed.proj in it; its keys: {some}, ...")
    if len(prefixes) > 1:
        raise InputError(f"{where}: more than one backbone: {', '.join(map(repr, prefixes))}")
    return prefixes[0]


def _convert_swin(
    state: Mapping[str, Tensor], prefix: str, layout: Layout, name: str, where: str
) -> Conversion:
    converted: dict[str, Tensor] = {}
    renamed: dict[str, str] = {}
    ignored: dict[str, str] = {}
    unknown: list[str] = []
    last_stage = _last_stage(state)
    for key, tensor in state.items():
        inner = key[len(prefix) :] if key.startswith(prefix) else None
        reason = _head(key, inner)
        if reason is not None:
            ignored[key] = reason
        elif inner is not None:
            # A classifier has one norm, behind its last stage.
            inner = re.sub(r"^norm\.(?=weight$|bias$)", f"norm{last_stage}.", inner)
            target = timm_name(inner, layout)
            if target is None:
                raise InputError(
                    f"{where}: {key!r} has no counterpart in the Swin used here, which would not "
                    "compute the same (a Swin V2, or absolute positions?)"
                )
            renamed[key] = f"encoder.{target}" if target else ""
            if target:
                converted[renamed[key]] = timm_order(target, tensor, layout)
        elif _is_predictor_part(key):
            renamed[key] = key.replace(_PREDICTOR, "predictor.", 1)
            converted[renamed[key]] = tensor
        else:
            unknown.append(key)
    metadata = {"encoder": json.dumps(swin_sizes(converted)), "converted_from": name}
    if name == "released":
        metadata["prompt_merge"] = "released"
        metadata["predictor"] = json.dumps(_predictor_sizes(converted))
    return Conversion(converted, metadata, name, renamed, ignored, tuple(unknown))


def _convert_vit(state: Mapping[str, Tensor], prefix: str, layout: From, where: str) -> Conversion:
    if layout not in ("auto", "timm"):
        raise InputError(f"{where}: asked to read as '{layout}', but its keys are those of a ViT")
    ignored = {key: reason for key in state if (reason := _head(key, key[len(prefix) :]))}
    ours = [key for key in state if key.startswith(prefix) and key not in ignored]
    renamed = {key: f"encoder.body.{key[len(prefix) :]}" for key in ours}
    unknown = tuple(key for key in state if key not in renamed and key not in ignored)
    converted = {renamed[key]: state[key] for key in ours}
    return Conversion(converted, {"converted_from": "timm"}, "timm", renamed, ignored, unknown)


def _cvt_prefix(state: Mapping[str, Tensor]) -> str | None:
    """What stands before a CvT's keys, None if there is no CvT."""
    for prefix in ("", "backbone."):
        if detect_cvt(key[len(prefix) :] for key in state if key.startswith(prefix)):
            return prefix
    return None


def _convert_cvt(state: Mapping[str, Tensor], prefix: str, layout: From, where: str) -> Conversion:
    inner = {key: key[len(prefix) :] for key in state if key.startswith(prefix)}
    found = detect_cvt(inner.values())
    assert found is not None
    if layout not in ("auto", found):
        raise InputError(f"{where}: asked to read as '{layout}', but its keys are '{found}'")
    converted: dict[str, Tensor] = {}
    renamed: dict[str, str] = {}
    ignored: dict[str, str] = {}
    for key, bare in inner.items():
        target = cvt_name(bare, found)
        if bare.startswith(("norm.", "head.", "layernorm.", "classifier.")):
            ignored[key] = "classification head"
        elif target is None and re.match(r"(cvt\.)?(encoder\.stages\.|stage\d)", bare):
            raise InputError(
                f"{where}: {key!r} has no counterpart in the CvT used here, which would not compute "
                "the same"
            )
        elif target is not None:
            renamed[key] = f"encoder.{target}" if target else ""
            if target:
                converted[renamed[key]] = state[key]
    unknown = tuple(key for key in state if key not in renamed and key not in ignored)
    metadata = {"encoder": json.dumps(cvt_sizes_of(converted)), "converted_from": found}
    return Conversion(converted, metadata, found, renamed, ignored, unknown)


def cvt_sizes_of(state: Mapping[str, Tensor]) -> dict[str, object]:
    """What `create_encoder("cvt", ...)` needs to build the CvT of `encoder.stages.*` weights.

    The number of heads is in no tensor; all published CvT have heads of 64 channels.
    """
    pattern = re.compile(r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.")
    found = [(int(m[1]), int(m[2])) for key in state if (m := pattern.match(key))]
    stages = range(1 + max(stage for stage, _ in found))
    dims = [state[f"encoder.stages.{i}.patch_embed.proj.weight"].shape[0] for i in stages]
    hidden = state["encoder.stages.0.blocks.0.mlp.fc1.weight"].shape[0]
    return {
        "dims": dims,
        "depths": [1 + max(block for stage, block in found if stage == i) for i in stages],
        "num_heads": [max(1, dim // 64) for dim in dims],
        "mlp_ratio": hidden / dims[0],
        "class_token": any(key.endswith("cls_token") for key in state),
    }


def _take_own(state: Mapping[str, Tensor], layout: From, where: str) -> Conversion:
    if layout != "auto":
        raise InputError(f"{where}: asked to read as '{layout}', but its keys are STPN's own")
    renamed = {key: match[1] for key in state if (match := _OWN.match(key))}
    converted = {target: state[key] for key, target in renamed.items()}
    ignored = {key: "task head" for key in state if key not in renamed}
    return Conversion(converted, {}, "stpn", renamed, ignored, ())


def swin_sizes(state: Mapping[str, Tensor]) -> dict[str, object]:
    """What `create_encoder("swin", ...)` needs to build the Swin of `encoder.body.*` weights."""
    layers = "encoder.body.layers"
    found = [m for key in state if (m := re.match(rf"{layers}\.(\d+)\.blocks\.(\d+)\.", key))]
    stages = range(1 + max(int(m[1]) for m in found))
    table = "blocks.0.attn.relative_position_bias_table"
    hidden, width = state[f"{layers}.0.blocks.0.mlp.fc1.weight"].shape
    return {
        "embed_dim": width,
        "depths": [1 + max(int(m[2]) for m in found if int(m[1]) == i) for i in stages],
        "num_heads": [state[f"{layers}.{i}.{table}"].shape[1] for i in stages],
        "mlp_ratio": hidden / width,
        "window": (round(state[f"{layers}.0.{table}"].shape[0] ** 0.5) + 1) // 2,
    }


def _last_stage(state: Mapping[str, Tensor]) -> int:
    stages = (re.search(r"(?:layers|stages)\.(\d+)\.blocks\.", key) for key in state)
    return max(int(match[1]) for match in stages if match)


def _predictor_sizes(state: Mapping[str, Tensor]) -> dict[str, object]:
    if "predictor.query" in state:
        return {"name": "attention", "num_prompts": state["predictor.query"].shape[0]}
    return {"name": "average"}


def _is_predictor_part(key: str) -> bool:
    return key.startswith(_PREDICTOR) and key.split(".")[1] in _PREDICTOR_PARTS


def _head(key: str, inner: str | None) -> str | None:
    bare = key.removeprefix("detector.")
    if inner is not None and inner.startswith(("head.", "head_dist.", "fc_norm.")):
        return "classification head"
    return "task head" if bare.startswith(_HEADS) else None
