"""Models of any task as folders and repositories: the task says how its files are read and written,
and what the card says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stpn_core.hub.address import repository as repository_name
from stpn_core.hub.card import Card
from stpn_core.hub.folder import check_config, config_bytes, write_folder
from stpn_core.hub.publish import Files, is_saved_model, model_files, push_files, saved_files
from stpn_core.hub.record import RunRecord, record_of, without_places
from stpn_core.runs.usable_weights import weights_file


class StoredModel(Protocol):
    """Contents of a weights file: tensors, a dataclass that says how to build the model, and the
    file. `classes`, a tuple, are their names; empty, or not there, where they are not known."""

    @property
    def state(self) -> Mapping[str, Tensor]: ...
    @property
    def config(self) -> Any: ...
    @property
    def source(self) -> Path: ...
    def build(self) -> nn.Module: ...


class TrainedModel(Protocol):
    """A model in memory. Its `classes`, if its task has any, are "class 0", "class 1" ... where they
    have no name."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def config(self) -> Any: ...
    @property
    def source(self) -> Path: ...


@dataclass(frozen=True, eq=False)
class Contents:
    """What is saved of a model. record: of the run that made it, if it is known. origin: where all
    this is from, a `StoredModel` or a `TrainedModel`, for what only its task knows."""

    state: Mapping[str, Tensor]
    config: Any
    classes: tuple[str, ...]
    record: RunRecord | None
    origin: Any


@dataclass(frozen=True)
class Publishing:
    """How the models of a task are published.

    task: its name in weights files. read: a weights file. write: contents into a new file. card:
    takes the model's name, its contents, where it will be on the Hub (`owner/name`, empty for
    nowhere) and the licence. places: settings of a training's configuration that are paths.
    """

    task: str
    read: Callable[[Path], StoredModel]
    write: Callable[[Path, Contents], object]
    card: Callable[[str, Contents, str, str], Card]
    places: Sequence[str]


def save_model(
    how: Publishing,
    source: TrainedModel | str | Path,
    folder: str | Path,
    *,
    licence: str = "",
    repository: str = "",
) -> Path:
    """Write weights, configuration and model card into a new folder, which appears whole or not at
    all.

    source: a run directory (its best checkpoint), a weights file, or a model in memory. licence: of
        the weights, as the Hub writes it; empty if it is not settled. repository: where it will be
        on the Hub, for the lines of the card that load it.

    Raises InputError if the folder is there already, or the source cannot be read.
    """
    folder = Path(folder)
    if repository:
        repository_name(repository)
    name = repository.rpartition("/")[2] or folder.resolve().name
    return write_folder(folder, _files(how, source, name, repository, licence))


def push_model(
    how: Publishing,
    source: TrainedModel | str | Path,
    name: str,
    *,
    private: bool = True,
    licence: str = "",
    token: str | None = None,
    revision: str | None = None,
) -> str:
    """Upload what `save_model` writes to repository `owner/name` as one commit; returns its address.

    source: as there; or a folder that it wrote, which goes up as it is, with a card that somebody
    edited. A new repository is private unless told otherwise; one that is there keeps its
    visibility. Raises InputError as `save_model` does, and if nobody is logged in or the Hub
    refuses.
    """
    repository_name(name)  # before the work
    if isinstance(source, str | Path) and is_saved_model(Path(source)):
        stored = how.read(weights_file(source))
        config = config_bytes(how.task, dataclasses.asdict(stored.config), _classes(stored))
        check_config(stored.source, config)
        stored.build()  # what is passed on can be loaded
        files = saved_files(Path(source), licence)
    else:
        files = _files(how, source, name.rpartition("/")[2], name, licence)
    return push_files(files, name, private=private, token=token, revision=revision)


def _files(
    how: Publishing, source: TrainedModel | str | Path, name: str, repository: str, licence: str
) -> Files:
    """The files of a model. repository: where they will be, empty for here."""
    held = _contents(how, source)
    if held.record is not None:
        config = without_places(held.record.config, how.places)
        held = dataclasses.replace(held, record=dataclasses.replace(held.record, config=config))
    return model_files(
        how.card(name, held, repository, licence),
        config_bytes(how.task, dataclasses.asdict(held.config), held.classes),
        lambda path: how.write(path, held),
    )


def _contents(how: Publishing, source: TrainedModel | str | Path) -> Contents:
    if isinstance(source, str | Path):
        stored = how.read(weights_file(source))
        stored.build()  # what is passed on can be loaded
        record = record_of(stored.source)
        return Contents(stored.state, stored.config, _classes(stored), record, stored)
    state = source.model.state_dict()
    classes = _classes(source)
    numbered = tuple(f"class {number}" for number in range(len(classes)))
    record = record_of(source.source)
    if record is not None and not _same(state, how.read(source.source).state):
        record = None  # trained further, or changed, since it was loaded
    return Contents(state, source.config, () if classes == numbered else classes, record, source)


def _classes(model: StoredModel | TrainedModel) -> tuple[str, ...]:
    return tuple(getattr(model, "classes", ()))


def _same(state: Mapping[str, Tensor], stored: Mapping[str, Tensor]) -> bool:
    return state.keys() == stored.keys() and all(
        torch.equal(tensor.cpu(), stored[key]) for key, tensor in state.items()
    )
