"""Detectors as folders that others can use, here or on the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from stpn_core.hub import (
    RunRecord,
    config_bytes,
    find_model,
    is_saved_model,
    model_files,
    push_files,
    record_of,
    saved_files,
    without_places,
    write_folder,
)
from stpn_core.hub.address import repository as repository_name
from stpn_core.hub.publish import Files
from stpn_core.runs import weights_file
from stpn_vod.build_config import DetectorConfig
from stpn_vod.conversion import TASK
from stpn_vod.detector_card import detector_card
from stpn_vod.model_file import TrainedDetector, load_trained
from stpn_vod.weights import StoredDetector, read_detector, save_detector

_PLACES = ("data.root", "data.det_root", "init")


def from_pretrained(
    source: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    device: torch.device | str = "cpu",
) -> TrainedDetector:
    """The detector of a saved folder, a run, a weights file, or a repository on the Hub.

    source: a path, `hf://owner/name[@revision]`, or `owner/name`, which a path of that name goes
        before. revision: branch, tag or commit of a repository. token: as in huggingface_hub.

    Whatever the file, nothing in it is run. Raises InputError if it is not there, cannot be
    reached, is damaged, or is for another task.
    """
    return load_trained(find_model(source, revision=revision, token=token), device)


def save_pretrained(
    source: TrainedDetector | str | Path,
    folder: str | Path,
    *,
    licence: str = "",
    repository: str = "",
) -> Path:
    """Write weights, configuration and model card of a detector into a new folder.

    source: a run directory (its best checkpoint), a weights file, or a detector in memory. licence:
        of the weights, as the Hub writes it ("apache-2.0"); empty if it is not settled. repository:
        where it will be on the Hub (`owner/name`), for the lines of the card that load it.

    The folder appears whole or not at all. Raises InputError if it is there already, or the source
    cannot be read.
    """
    folder = Path(folder)
    if repository:
        repository_name(repository)
    name = repository.rpartition("/")[2] or folder.resolve().name
    return write_folder(folder, _files(source, name, repository, licence))


def push_to_hub(
    source: TrainedDetector | str | Path,
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
    repository_name(name)  # before the work
    if isinstance(source, str | Path) and is_saved_model(Path(source)):
        load_trained(source)  # what is passed on can be loaded
        files = saved_files(Path(source), licence)
    else:
        files = _files(source, name.rpartition("/")[2], name, licence)
    return push_files(files, name, private=private, token=token, revision=revision)


def _files(source: TrainedDetector | str | Path, name: str, repository: str, licence: str) -> Files:
    """The files of a detector. repository: where they will be, empty for here."""
    state, config, classes, record = _contents(source)
    if record is not None:
        record = dataclasses.replace(record, config=without_places(record.config, _PLACES))
    return model_files(
        detector_card(name, config, classes, record, repository=repository, licence=licence),
        config_bytes(TASK, dataclasses.asdict(config), classes),
        lambda path: save_detector(path, state, config, classes),
    )


def _contents(
    source: TrainedDetector | str | Path,
) -> tuple[Mapping[str, Tensor], DetectorConfig, tuple[str, ...], RunRecord | None]:
    """Weights, configuration, class names, and the record of the run, if it made these weights."""
    if not isinstance(source, TrainedDetector):
        stored = read_detector(weights_file(source))
        stored.build()  # what is passed on can be loaded
        return stored.state, stored.config, stored.classes, record_of(stored.source)
    state = source.model.state_dict()
    named = not source.classes[0].startswith("class ")
    record = record_of(source.source)
    if record is not None and not _same(state, read_detector(source.source)):
        record = None  # trained further, or changed, since it was loaded
    return state, source.config, source.classes if named else (), record


def _same(state: Mapping[str, Tensor], stored: StoredDetector) -> bool:
    return state.keys() == stored.state.keys() and all(
        torch.equal(tensor.cpu(), stored.state[key]) for key, tensor in state.items()
    )
