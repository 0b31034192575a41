"""Detectors as folders that others can use, here or on the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.hub import (
    RunRecord,
    config_bytes,
    find_model,
    record_of,
    render_card,
    upload,
    without_places,
    write_folder,
)
from stpn_core.hub.address import repository as repository_name
from stpn_core.hub.transfer import CARD_FILE, CONFIG_FILE, RECIPE_FILE
from stpn_core.runs import MODEL_FILE, weights_file
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
    repository_name(name)
    if isinstance(source, str | Path) and _is_saved(Path(source)):
        files = _saved_files(Path(source), licence)
    else:
        files = _files(source, name.rpartition("/")[2], name, licence)
    with tempfile.TemporaryDirectory() as parent:
        folder = write_folder(Path(parent) / "model", files)
        return upload(folder, name, private=private, token=token, revision=revision)


def _files(
    source: TrainedDetector | str | Path, name: str, repository: str, licence: str
) -> Mapping[str, bytes | Callable[[Path], object]]:
    """Contents of the folder by file name. repository: where it will be, empty for here."""
    state, config, classes, record = _contents(source)
    if record is not None:
        record = dataclasses.replace(record, config=without_places(record.config, _PLACES))
    card = detector_card(name, config, classes, record, repository=repository, licence=licence)
    files: dict[str, bytes | Callable[[Path], object]] = {
        CARD_FILE: render_card(card).encode(),
        CONFIG_FILE: config_bytes(TASK, dataclasses.asdict(config), classes),
        MODEL_FILE: lambda path: save_detector(path, state, config, classes),
    }
    if record is not None:
        files[RECIPE_FILE] = (json.dumps(record.config, indent=2) + "\n").encode()
    return files


def _is_saved(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (CARD_FILE, CONFIG_FILE, MODEL_FILE))


def _saved_files(folder: Path, licence: str) -> Mapping[str, bytes | Callable[[Path], object]]:
    """A saved folder as it is; nothing else that lies there."""
    if licence:
        raise InputError(f"{folder}: its card is made; write the licence into {folder / CARD_FILE}")
    load_trained(folder)  # what is passed on can be loaded
    names = (CARD_FILE, CONFIG_FILE, RECIPE_FILE)
    texts = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    return {**texts, MODEL_FILE: partial(shutil.copyfile, folder / MODEL_FILE)}


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
