"""MixFormer checkpoints with CvT (MCG-NJU/MixFormer), brought to the names here."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stpn_core.cvt_build import CvtSizes, cvt_sizes
from stpn_core.errors import InputError
from stpn_core.weights.conversion import cvt_sizes_of
from stpn_core.weights.cvt_layouts import cvt_name
from stpn_vot.build import build_tracker
from stpn_vot.build_config import Options, TrackerConfig
from stpn_vot.protocol import KEY, Protocol

TASK = "vot"

_BACKBONE, _BOX, _SCORE = "backbone.", "box_head.", "score_branch."
_DEAD = ("backbone.norm.", "backbone.head.")  # of the classifier; no tracker reads them
_NAMES = (
    (r"^box_head\.conv([1-4])_(tl|br)\.([01])\.(.+)$", "box_head.{2}.steps.{1}.{3}.{4}"),
    (r"^box_head\.conv(5)_(tl|br)\.(weight|bias)$", "box_head.{2}.last.{3}"),
    (r"^score_branch\.score_token$", "score_head.token"),
    (r"^score_branch\.norm1\.(weight|bias)$", "score_head.norm.{1}"),
    (r"^score_branch\.norm2\.([01])\.(weight|bias)$", "score_head.attentions.{1}.norm.{2}"),
    (r"^score_branch\.proj_(q|k|v)\.([01])\.(weight|bias)$", "score_head.attentions.{2}.{1}.{3}"),
    (r"^score_branch\.proj\.([01])\.(weight|bias)$", "score_head.attentions.{1}.out.{2}"),
    (r"^score_branch\.score_head\.layers\.([0-2])\.(weight|bias)$", "score_head.mlp.{1}.{2}"),
)
_CORNERS = {"tl": "top_left", "br": "bottom_right"}
_LETTERS = {"q": "query", "k": "key", "v": "value"}
_NAMED = ("cvt_13", "cvt_21", "cvt_w24")


def convert_tracker(
    state: dict[str, Tensor], metadata: dict[str, str]
) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """A MixFormer with CvT and corner head under the names here; None for anything else.

    The header has the configuration, the keys that were left out (norm and classifier behind the
    backbone, which no tracker reads) and a note if there is no score head: checkpoints of the first
    training stage have none, and become trackers that give boxes without scores.

    Raises InputError, naming them, for weights without a counterpart and for missing ones.
    """
    if not any(key.startswith("backbone.stage0.") for key in state):
        return None
    if not any(re.match(r"^box_head\.conv1_tl\.", key) for key in state):
        return None
    left_out = sorted(
        key for key in state if key.startswith(_DEAD) or key.endswith("num_batches_tracked")
    )
    names = {key: our_name(key) for key in state if key not in left_out}
    strange = [key for key, name in names.items() if name is None]
    _refuse(strange, "without a counterpart here")
    converted = {name: state[key] for key, name in names.items() if name is not None}
    config = config_of(converted)
    with torch.device("meta"):
        wanted = build_tracker(config).state_dict()
    _refuse([key for key in wanted if key not in converted], "missing in it")
    notes = [] if config.score else ["no score head in it (first training stage): boxes, no scores"]
    header = tracker_metadata(config) | {
        "converted_from": "mixformer",
        "left_out": json.dumps(left_out),
        "notes": json.dumps(notes),
    }
    return converted, header


def tracker_metadata(config: TrackerConfig, protocol: Protocol = "unknown") -> dict[str, str]:
    """Header of a tracker's weights file."""
    return {"task": TASK, "config": json.dumps(dataclasses.asdict(config)), KEY: protocol}


def our_name(key: str) -> str | None:
    """The name here of a MixFormer weight, None if there is none."""
    if key.startswith(_BACKBONE):
        bare = cvt_name(key.removeprefix(_BACKBONE), "microsoft-cvt")
        return f"encoder.{bare}" if bare else None
    for pattern, name in _NAMES:
        if match := re.match(pattern, key):
            return name.format(key, *_words(key, match.groups()))
    return None


def config_of(state: Mapping[str, Tensor]) -> TrackerConfig:
    """The configuration that the shapes of a tracker's weights, under our names, imply.

    Heads have 64 channels, as in every published model: their number is in no tensor, and neither
    are the sizes of the crops.
    """
    found: dict[str, Any] = cvt_sizes_of(state)
    sizes = dataclasses.replace(CvtSizes(), **_tuples(found))
    encoder = next((name for name in _NAMED if cvt_sizes(name) == sizes), "cvt")
    arch: Options = {} if encoder != "cvt" else _tuples(found)
    arch.pop("class_token", None)
    return TrackerConfig(
        encoder,
        arch,
        head_channels=len(state["box_head.top_left.steps.0.conv.bias"]),
        score=any(key.startswith("score_head.") for key in state),
        score_heads=max(1, sizes.dims[-1] // 64),
        predictor=None,
    )


def _words(key: str, groups: Sequence[str]) -> list[str]:
    if not key.startswith(_BOX):
        return [_LETTERS.get(group, group) for group in groups]
    words = [_CORNERS.get(group, group) for group in groups]
    words[0] = str(int(words[0]) - 1)
    if len(words) == 4:
        words[2] = ("conv", "norm")[int(words[2])]
    return words


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _refuse(keys: Sequence[str], what: str) -> None:
    if keys:
        raise InputError(
            f"the checkpoint is a MixFormer with {len(keys)} weights {what}, such as "
            + ", ".join(repr(key)[:120] for key in keys[:5])
        )
