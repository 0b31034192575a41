"""What every task does to save a model, and to put it on the Hub."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.hub.address import repository as repository_name
from stpn_core.hub.card import Card, render_card
from stpn_core.hub.folder import write_folder
from stpn_core.hub.transfer import CARD_FILE, CONFIG_FILE, RECIPE_FILE, upload
from stpn_core.runs.usable_weights import MODEL_FILE

Files = Mapping[str, bytes | Callable[[Path], object]]
"""Contents of a folder by file name, as `write_folder` takes them."""


def model_files(card: Card, config: bytes, write_weights: Callable[[Path], object]) -> Files:
    """The files of a model; with the training's configuration if the card has a record.

    config: as `config_bytes` makes it.
    """
    files: dict[str, bytes | Callable[[Path], object]] = {
        CARD_FILE: render_card(card).encode(),
        CONFIG_FILE: config,
        MODEL_FILE: write_weights,
    }
    if card.record is not None:
        files[RECIPE_FILE] = (json.dumps(card.record.config, indent=2) + "\n").encode()
    return files


def is_saved_model(folder: Path) -> bool:
    """Whether `folder` is one of ours, rather than a run or a checkpoint."""
    return all((folder / name).is_file() for name in (CARD_FILE, CONFIG_FILE, MODEL_FILE))


def saved_files(folder: Path, licence: str = "") -> Files:
    """The files of a saved model as they are, with a card that somebody may have edited, and nothing
    else that lies there. Raises InputError if a licence is given, which the card states already."""
    if licence:
        raise InputError(f"{folder}: its card is made; write the licence into {folder / CARD_FILE}")
    names = (CARD_FILE, CONFIG_FILE, RECIPE_FILE)
    texts = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    return {**texts, MODEL_FILE: partial(shutil.copyfile, folder / MODEL_FILE)}


def push_files(
    files: Files,
    repository: str,
    *,
    private: bool = True,
    token: str | None = None,
    revision: str | None = None,
) -> str:
    """Upload `files` to `repository` as one commit; returns its address. Arguments and errors as
    those of `upload`, and InputError if `repository` is not `owner/name`."""
    repository_name(repository)
    with tempfile.TemporaryDirectory() as parent:
        folder = write_folder(Path(parent) / "model", files)
        return upload(folder, repository, private=private, token=token, revision=revision)
