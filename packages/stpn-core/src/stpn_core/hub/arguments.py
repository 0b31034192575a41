"""What the verbs `save` and `push` of every task take; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

Source = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]]
Licence = Annotated[str, tyro.conf.arg(aliases=("--license",))]


@dataclass(frozen=True)
class SaveArguments:
    """Write weights, configuration and model card into a new folder."""

    source: Source
    """Run directory (its best checkpoint), or a weights file."""
    folder: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="FOLDER")]]
    """A folder that is not there yet."""
    licence: Licence = ""
    """Of the weights, as the Hub writes it, such as apache-2.0; empty if it is not settled."""
    repository: str = ""
    """OWNER/NAME it will have on the Hub, for the lines of the card that load it."""


@dataclass(frozen=True)
class PushArguments:
    """Upload weights, configuration and model card to the Hugging Face Hub."""

    source: Source
    """Run directory (its best checkpoint), weights file, or a folder that `save` made."""
    repository: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="OWNER/NAME")]]
    """Made if it is not there. Log in first: `hf auth login`, or set HF_TOKEN."""
    public: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """A new repository is for everybody; without this it is private."""
    licence: Licence = ""
    """Of the weights, as the Hub writes it, such as apache-2.0; empty if it is not settled."""
    revision: str | None = None
    """Branch to upload to, which must be there; the main one if not given."""
