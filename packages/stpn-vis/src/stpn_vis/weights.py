"""Segmenter weights on disk.

A file holds the state dict of `Segmenter` and, in its header, the task, the configuration that
builds the segmenter, and the class names. Checkpoints of other code are converted while being read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.weights import (
    LoadReport,
    build_stored,
    class_names,
    load_backbone,
    load_state,
    read_stored,
    save_weights,
)
from stpn_vis.build import build_segmenter
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.class_rows import rows_from_coco
from stpn_vis.conversion import TASK, convert_segmenter, segmenter_metadata
from stpn_vis.segmenter import Segmenter

__all__ = [
    "StoredSegmenter",
    "convert_segmenter",
    "load_initial",
    "load_segmenter",
    "read_segmenter",
    "save_segmenter",
]

_CLASSIFIER = "decoder.classifier."


@dataclass(frozen=True, eq=False)
class StoredSegmenter:
    """Contents of a weights file: tensors by name, how to build the segmenter, its class names
    (none where the file does not say), and the file."""

    state: Mapping[str, Tensor]
    config: SegmenterConfig
    classes: tuple[str, ...]
    source: Path

    def build(self) -> Segmenter:
        """The segmenter with these weights, in evaluation mode. Raises InputError if they differ."""
        return build_stored(
            lambda: build_segmenter(self.config), self.state, kind="segmenter", source=self.source
        )


def load_segmenter(path: str | Path) -> Segmenter:
    """The segmenter of a weights file, in evaluation mode; see `read_segmenter`."""
    return read_segmenter(path).build()


def read_segmenter(path: str | Path) -> StoredSegmenter:
    """Read a segmenter from a file of ours, or from a checkpoint that `convert_segmenter` knows.

    Raises InputError if the file is missing, damaged, for another task, or no segmenter.
    """
    stored = _read_any(path, only=True)
    if stored is None:
        raise InputError(
            f"{path}: no segmenter: neither written by `stpn vis train` nor a Mask2Former or MinVIS "
            "with Swin from detectron2 or Transformers"
        )
    return stored


def save_segmenter(
    path: str | Path,
    state: Mapping[str, Tensor],
    config: SegmenterConfig,
    classes: Sequence[str] = (),
) -> None:
    """Write a segmenter's state dict with what `load_segmenter` needs to build it again.

    Raises InputError if class names are given and not as many as the segmenter has classes.
    """
    save_weights(path, state, segmenter_metadata(config, classes))


def load_initial(
    model: Segmenter,
    source: str | Path,
    architecture: str | None = None,
    *,
    class_head: Literal["drop", "keep", "coco"] = "drop",
    classes: Sequence[str] = (),
) -> LoadReport:
    """Start a segmenter from a file: a whole segmenter, or the encoder alone.

    source: a path, or "coco_maskrcnn" or "imagenet1k" for a published encoder in the weights
        folder; then `architecture` names it ("swin_tiny").
    class_head: the class layer keeps its fresh weights ("drop"); or is the file's, which must be
        for as many classes ("keep"); or takes from COCO's, which the file must have, the rows of
        the `classes` that COCO has, too ("coco").

    A single-frame segmenter gives all but the prompt predictor; the report lists what kept its
    initial values. Raises InputError if the file does not fit, or if its prompts were trained with
    another `prompt_merge`.
    """
    stored = _read_any(source, only=False) if Path(source).exists() else None
    if stored is None:
        return load_backbone(model.stpn.encoder, source, architecture=architecture)
    prompted = any(key.startswith("stpn.predictor.") for key in stored.state)
    merge = getattr(model.stpn.encoder, "prompt_merge", stored.config.prompt_merge)
    if prompted and model.stpn.predictor is not None and merge != stored.config.prompt_merge:
        raise InputError(
            f"{source}: its prompts were trained with prompt_merge "
            f"{stored.config.prompt_merge!r}, the model has {merge!r}; "
            f"set --model.prompt-merge {stored.config.prompt_merge}"
        )
    given = _with_class_layer(model, stored, class_head, classes)
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    given = {  # the auxiliary head is for other classes, then, and no part of the answer
        key: tensor
        for key, tensor in given.items()
        if not key.startswith("presence.") or shapes.get(key) == tensor.shape
    }
    optional = ["presence."]
    optional += [] if prompted else ["stpn.predictor."]
    optional += [_CLASSIFIER] if class_head == "drop" else []
    what = f"the segmenter, from {source}"
    return load_state(model, given, what=what, min_matched=1.0, optional=optional)


def _with_class_layer(
    model: Segmenter, stored: StoredSegmenter, policy: str, classes: Sequence[str]
) -> dict[str, Tensor]:
    state = dict(stored.state)
    fresh = {k: v for k, v in model.state_dict().items() if k.startswith(_CLASSIFIER)}
    if policy == "drop":
        return {key: tensor for key, tensor in state.items() if key not in fresh}
    if policy == "coco":
        taken = {key: state[key] for key in fresh if key in state}
        return state | {
            key: rows_from_coco(layer, fresh[key].cpu(), classes) for key, layer in taken.items()
        }
    have, want = stored.config.num_classes, len(fresh[f"{_CLASSIFIER}bias"]) - 1
    if have != want:
        raise InputError(
            f"{stored.source}: its class layer is for {have} classes, the model's for {want}; "
            "drop it (or, if it is COCO's, keep the rows of common classes: coco)"
        )
    return state


def _read_any(path: str | Path, *, only: bool) -> StoredSegmenter | None:
    """A segmenter of ours or a convertible one; None for other weights. only: see `read_stored`."""
    found = read_stored(path, SegmenterConfig, TASK, convert_segmenter, only=only)
    if found is None:
        return None
    classes = class_names(path, found.header, found.config.num_classes)
    return StoredSegmenter(found.state, found.config, classes, Path(path))
