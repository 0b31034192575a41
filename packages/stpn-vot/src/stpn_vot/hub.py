"""Trackers as folders that others can use, here or on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

import torch

from stpn_core.hub import Contents, Publishing, find_model, push_model, save_model
from stpn_vot.conversion import TASK
from stpn_vot.model_file import TrainedTracker, load_trained
from stpn_vot.tracker_card import tracker_card
from stpn_vot.weights import read_tracker, save_tracker


def _write(path: Path, held: Contents) -> None:
    save_tracker(path, held.state, held.config, held.origin.protocol)


_PLACES = ("data.root", "data.lasot", "data.trackingnet", "data.coco", "init")
_HOW = Publishing(TASK, read_tracker, _write, tracker_card, _PLACES)


def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    device: torch.device | str = "cpu",
) -> TrainedTracker:
    """The tracker of a saved folder, a run, a weights file, or a repository on the Hub.

    source: a path, `hf://owner/name[@revision]`, or `owner/name`, which a path of that name goes
        before. revision: branch, tag or commit of a repository. token: as in huggingface_hub.

    Whatever the file, nothing in it is run. Raises InputError if it is not there, cannot be
    reached, is damaged, or is for another task.
    """
    return load_trained(find_model(source, revision=revision, token=token), device)


def save_pretrained(
    source: TrainedTracker | str | Path,
    folder: str | Path,
    *,
    licence: str = "",
    repository: str = "",
) -> Path:
    """Write weights, configuration and model card of a tracker into a new folder.

    source: a run directory (its best checkpoint), a weights file, or a tracker in memory. licence:
        of the weights, as the Hub writes it ("apache-2.0"); empty if it is not settled. repository:
        where it will be on the Hub (`owner/name`), for the lines of the card that load it.

    The folder appears whole or not at all. Raises InputError if it is there already, or the source
    cannot be read.
    """
    return save_model(_HOW, source, folder, licence=licence, repository=repository)


def push_to_hub(
    source: TrainedTracker | str | Path,
    name: str,
    *,
    private: bool = True,
    licence: str = "",
    token: str | None = None,
    revision: str | None = None,
) -> str:
    """Upload what `save_pretrained` writes to repository `owner/name`; returns its address.

    source: as there; or a folder that it wrote, which goes up as it is, with a card that you edited.
    A new repository is private unless told otherwise; one that is there keeps its visibility. The
    files arrive as one commit. Raises InputError as `save_pretrained` does, and if nobody is logged
    in or the Hub refuses.
    """
    return push_model(
        _HOW, source, name, private=private, licence=licence, token=token, revision=revision
    )
