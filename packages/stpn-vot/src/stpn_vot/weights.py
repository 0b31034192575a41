"""Tracker weights on disk.

A file holds the state dict of `MixFormer` and, in its header, the task and the configuration that
builds it. MixFormer's own checkpoints are converted while being read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.weights import (
    LoadReport,
    build_stored,
    load_backbone,
    load_state,
    read_stored,
    save_weights,
    text_list,
)
from stpn_vot.build import build_tracker
from stpn_vot.build_config import TrackerConfig
from stpn_vot.conversion import TASK, convert_tracker, tracker_metadata
from stpn_vot.mixformer import MixFormer
from stpn_vot.protocol import Protocol, protocol_of

__all__ = [
    "StoredTracker",
    "convert_tracker",
    "load_initial",
    "load_tracker",
    "read_tracker",
    "save_tracker",
]


@dataclass(frozen=True, eq=False)
class StoredTracker:
    """Contents of a weights file: tensors by name, how to build the network, the file, what a user
    should know about it, and the protocol it was trained under."""

    state: Mapping[str, Tensor]
    config: TrackerConfig
    source: Path
    notes: tuple[str, ...] = ()
    protocol: Protocol = "unknown"

    def build(self) -> MixFormer:
        """The network with these weights, in evaluation mode. Raises InputError if they differ."""
        return build_stored(
            lambda: build_tracker(self.config), self.state, kind="tracker", source=self.source
        )


def load_tracker(path: str | Path) -> MixFormer:
    """The network of a weights file, in evaluation mode; see `read_tracker`."""
    return read_tracker(path).build()


def read_tracker(path: str | Path) -> StoredTracker:
    """Read a tracker from a file of ours, or from a MixFormer checkpoint (`.pth.tar`).

    One of MixFormer's first training stage has no score head; nor has the tracker, then, and a note
    says so. Raises InputError if the file is missing, damaged, for another task, or no tracker.
    """
    stored = _read_any(path, only=True)
    if stored is None:
        raise InputError(
            f"{path}: no tracker: neither written by `stpn vot train` nor a MixFormer with CvT and "
            "plain corner head"
        )
    return stored


def save_tracker(
    path: str | Path,
    state: Mapping[str, Tensor],
    config: TrackerConfig,
    protocol: Protocol = "unknown",
) -> None:
    """Write a tracker's state dict with what `load_tracker` needs to build it again, and what it was
    trained on (`stpn_vot.protocol`)."""
    save_weights(path, state, tracker_metadata(config, protocol))


def load_initial(
    model: MixFormer,
    source: str | Path,
    architecture: str | None = None,
    protocol: Protocol = "unknown",
) -> LoadReport:
    """Start a tracker from a file: a whole tracker, or the encoder alone (`load_backbone`).

    A file without a prompt predictor or a score head leaves the model's own as they are, and the
    report names them; those of the file that the model does not have are left out. Raises
    InputError if the rest does not fit, or if the file's training rules out the `protocol` that is
    claimed for what starts from it.
    """
    stored = _read_any(source, only=False) if Path(source).exists() else None
    if stored is None:
        return load_backbone(model.encoder, source, architecture=architecture)
    if (stored.protocol, protocol) == ("full", "got10k"):
        raise InputError(
            f"{source} was trained on more than GOT-10k, so nothing that starts from it is of the "
            "protocol got10k: start from other weights, or set --protocol full"
        )
    parts = ("predictor.", "presence.", "score_head.", "encoder.linear_downscale.")
    absent = [part for part in parts if not any(key.startswith(part) for key in stored.state)]
    what = f"the tracker, from {source}"
    return load_state(model, stored.state, what=what, min_matched=1.0, optional=absent)


def _read_any(path: str | Path, *, only: bool) -> StoredTracker | None:
    """A tracker of ours or a convertible one; None for other weights. only: see `read_stored`."""
    found = read_stored(path, TrackerConfig, TASK, convert_tracker, only=only)
    if found is None:
        return None
    notes = text_list(path, found.header, "notes", "sentences")
    protocol = protocol_of(found.header, str(path))
    return StoredTracker(found.state, found.config, Path(path), notes, protocol)
