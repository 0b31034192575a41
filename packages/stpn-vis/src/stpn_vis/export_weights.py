"""Weights for detectron2 (Mask2Former, MinVIS) and for Transformers, out of a segmenter's."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.runs import replace_file
from stpn_core.swin_build import swin_sizes
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.weight_names import depths_of, weight_names
from stpn_vis.weights import StoredSegmenter

Target = Literal["detectron2", "transformers"]

_OURS_ALONE = ("stpn.predictor.", "presence.")


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedWeights:
    """state: tensors under the other names. left_out: keys of ours that have no place there."""

    state: dict[str, Tensor]
    left_out: tuple[str, ...]


def to_detectron2(state: Mapping[str, Tensor]) -> ExportedWeights:
    """A segmenter's weights under the names of facebookresearch/Mask2Former and NVlabs/MinVIS.

    The prompt predictor is left out: what remains is the plain model. Raises InputError if the
    encoder is no Swin of four stages, naming what does not fit.
    """
    return _renamed(state, lambda names, tensor: {names.detectron2: tensor})


def to_transformers(state: Mapping[str, Tensor]) -> ExportedWeights:
    """The same under the names that Transformers' Mask2FormerForUniversalSegmentation saves (and
    versions 4 and 5 read); see `transformers_config`."""

    def cut(names: Any, tensor: Tensor) -> dict[str, Tensor]:
        parts = tensor.chunk(len(names.transformers))
        return {
            name: part.contiguous() for name, part in zip(names.transformers, parts, strict=True)
        }

    return _renamed(state, cut)


def _renamed(state: Mapping[str, Tensor], rename: Any) -> ExportedWeights:
    left_out = tuple(key for key in state if key.startswith(_OURS_ALONE))
    depths = depths_of(state, "ours")
    if len(depths.stages) != 4:
        raise InputError(
            "only a segmenter on a Swin of four stages is a Mask2Former of detectron2 or "
            f"Transformers; this one's encoder has {len(depths.stages)} Swin stages"
        )
    names = {n.ours: n for n in weight_names(depths)}
    misfits = [key for key in state if key not in names and key not in left_out]
    misfits += [key for key in names if key not in state]
    if misfits:
        raise InputError(
            f"{len(misfits)} weights are no segmenter's, or missing: {', '.join(misfits[:5])}"
        )
    renamed: dict[str, Tensor] = {}
    for key, entry in names.items():
        renamed |= rename(entry, state[key])
    return ExportedWeights(renamed, left_out)


def transformers_config(config: SegmenterConfig, classes: Sequence[str] = ()) -> dict[str, Any]:
    """The content of `config.json` beside weights of `to_transformers`.

    Raises InputError for more or fewer than four sampling points, which Transformers has fixed.
    """
    if config.attention_points != 4:
        raise InputError(
            f"Transformers' Mask2Former samples 4 points, attention_points={config.attention_points}"
        )
    sizes = swin_sizes(config.encoder, window=config.window, **dict(config.arch))
    stages = len(sizes.depths)
    names = list(classes) or [f"LABEL_{i}" for i in range(config.num_classes)]
    return {
        "architectures": ["Mask2FormerForUniversalSegmentation"],
        "model_type": "mask2former",
        "backbone_config": {
            "model_type": "swin",
            "embed_dim": sizes.embed_dim,
            "depths": list(sizes.depths),
            "num_heads": list(sizes.num_heads),
            "mlp_ratio": sizes.mlp_ratio,
            "window_size": sizes.window,
            "patch_size": 4,
            "drop_path_rate": config.drop_path,
            "hidden_size": sizes.embed_dim * 2 ** (stages - 1),
            "out_features": [f"stage{i}" for i in range(1, stages + 1)],
        },
        "feature_size": config.hidden,
        "mask_feature_size": config.mask_dim,
        "hidden_dim": config.hidden,
        "encoder_feedforward_dim": config.pixel_ffn,
        "encoder_layers": config.pixel_layers,
        "decoder_layers": config.decoder_layers + 1,  # Transformers counts the initial queries
        "dim_feedforward": config.decoder_ffn,
        "num_attention_heads": config.heads,
        "num_queries": config.num_queries,
        "class_weight": config.class_weight,
        "mask_weight": config.mask_weight,
        "dice_weight": config.dice_weight,
        "no_object_weight": config.no_object_weight,
        "train_num_points": config.points,
        "oversample_ratio": config.oversample,
        "importance_sample_ratio": config.importance,
        "id2label": {str(i): name for i, name in enumerate(names)},
        "label2id": {name: i for i, name in enumerate(names)},
    }


def export_weights(stored: StoredSegmenter, out: str | Path, target: Target) -> ExportedWeights:
    """Write a segmenter's weights for other code: for detectron2 one `.pth` file; for Transformers
    a folder with `model.safetensors` and `config.json`, for `from_pretrained`.

    Raises InputError if they have no place there, or `out` cannot be written.
    """
    out = Path(out)
    if target == "detectron2":
        if out.suffix != ".pth":
            raise InputError(f"{out}: weights for detectron2 are one file; name it *.pth")
        _need_folder(out.parent)
        exported = to_detectron2(stored.state)
        buffer = io.BytesIO()
        torch.save({"model": exported.state, "__author__": "stpn-vis"}, buffer)
        replace_file(out, buffer.getvalue())
        return exported
    from safetensors.torch import save

    exported = to_transformers(stored.state)
    config = transformers_config(stored.config, stored.classes)
    _need_folder(out.parent)
    out.mkdir(exist_ok=True)
    replace_file(out / "model.safetensors", save(exported.state, {"format": "pt"}))
    replace_file(out / "config.json", json.dumps(config, indent=2).encode() + b"\n")
    return exported


def _need_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
