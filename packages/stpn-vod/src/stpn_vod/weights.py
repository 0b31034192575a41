"""Detector weights on disk.

A file holds the state dict of `FasterRCNN` and, in its header, the task, the configuration that
builds the detector, and the class names. Checkpoints of other code are converted while being read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from stpn_vod.build import Detector, build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.conversion import TASK, convert_detector, detector_metadata

__all__ = [
    "StoredDetector",
    "convert_detector",
    "load_detector",
    "load_initial",
    "read_detector",
    "save_detector",
]

# what another number of classes, or no auxiliary loss, may leave out of a starting point
_REPLACEABLE = ("roi.classify.", "roi.regress.", "presence.")


@dataclass(frozen=True, eq=False)
class StoredDetector:
    """Contents of a weights file: tensors by name, how to build the detector, its class names
    (none where the file does not say), and the file."""

    state: Mapping[str, Tensor]
    config: DetectorConfig
    classes: tuple[str, ...]
    source: Path

    def build(self) -> Detector:
        """The detector with these weights, in evaluation mode. Raises InputError if they differ."""
        return build_stored(
            lambda: build_detector(self.config), self.state, kind="detector", source=self.source
        )


def load_detector(path: str | Path) -> Detector:
    """The detector of a weights file, in evaluation mode; see `read_detector`."""
    return read_detector(path).build()


def read_detector(path: str | Path) -> StoredDetector:
    """Read a detector from a file of ours, or from a checkpoint that `convert_detector` knows.

    Raises InputError if the file is missing, damaged, for another task, or no detector.
    """
    stored = _read_any(path, only=True)
    if stored is None:
        raise InputError(
            f"{path}: no detector: neither written by `stpn vod train` nor a Faster R-CNN with "
            "Swin from mmdet or from the released STPN"
        )
    return stored


def save_detector(
    path: str | Path,
    state: Mapping[str, Tensor],
    config: DetectorConfig,
    classes: Sequence[str] = (),
) -> None:
    """Write a detector's state dict with what `load_detector` needs to build it again.

    Raises InputError if class names are given and not as many as the detector has classes.
    """
    save_weights(path, state, detector_metadata(config, classes))


def load_initial(
    model: Detector, source: str | Path, architecture: str | None = None
) -> LoadReport:
    """Start a detector from a file: a whole detector, or the encoder alone.

    source: a path, or "coco_maskrcnn" or "imagenet1k" for a published encoder in the weights
        folder; then `architecture` names it ("swin_tiny").

    A detector for other classes gives all but its last layers, a single-frame one all but the
    prompt predictor, one without SELSA all but the aggregators; the report lists what kept its
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
    shapes = {key: tensor.shape for key, tensor in model.state_dict().items()}
    fitting = {
        key: tensor
        for key, tensor in stored.state.items()
        if not key.startswith(_REPLACEABLE) or shapes.get(key) == tensor.shape
    }
    optional = (
        *_REPLACEABLE,
        *(() if prompted else ("stpn.predictor.",)),
        *(() if stored.config.head == "selsa" else ("selsa.",)),
    )
    what = f"the detector, from {source}"
    return load_state(model, fitting, what=what, min_matched=1.0, optional=optional)


def _read_any(path: str | Path, *, only: bool) -> StoredDetector | None:
    """A detector of ours or a convertible one; None for other weights. only: see `read_stored`."""
    found = read_stored(path, DetectorConfig, TASK, convert_detector, only=only)
    if found is None:
        return None
    classes = class_names(path, found.header, found.config.num_classes)
    return StoredDetector(found.state, found.config, classes, Path(path))
