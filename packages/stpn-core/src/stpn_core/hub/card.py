"""The model card: a README.md with a header that the Hub reads."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from stpn_core.errors import InputError
from stpn_core.hub.record import RunRecord


@dataclass(frozen=True)
class Card:
    """What a card says.

    name: of the model. about: one paragraph. task: the Hub's name of it, such as
    "object-detection". licence: its identifier on the Hub ("apache-2.0"); empty if nobody has said.
    commands, python: lines that use the model. data: what it was trained on, by heading. record: of
    the run, if it is known. measured: how validation was done, in words. versions: distributions
    whose versions matter. notes: further paragraphs.
    """

    name: str
    about: str
    task: str
    commands: Sequence[str]
    python: Sequence[str]
    tags: Sequence[str] = ()
    licence: str = ""
    classes: Sequence[str] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    record: RunRecord | None = None
    measured: str = ""
    versions: Sequence[str] = ()
    notes: Sequence[str] = ()


def render_card(card: Card) -> str:
    """The text of README.md. Raises InputError if the licence is no identifier."""
    return "\n".join(
        [
            *_header(card),
            f"# {_plain(card.name)}",
            "",
            card.about,
            "",
            "## Use",
            "",
            *_code("", card.commands),
            *_code("python", card.python),
            *_classes(card),
            *_training(card),
            *_numbers(card),
            *[line for note in card.notes for line in (note, "")],
            "## Licence",
            "",
            _licence(card),
            "",
        ]
    )


def _header(card: Card) -> list[str]:
    licence = card.licence or "unknown"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence):
        raise InputError(
            f"licence {card.licence!r}: the Hub's identifiers are of lower-case letters, digits, "
            "dots and hyphens, such as apache-2.0, cc-by-nc-4.0 or other"
        )
    # JSON strings are YAML strings, whatever stands in them
    return [
        "---",
        "library_name: stpn",
        f"pipeline_tag: {json.dumps(card.task)}",
        f"license: {licence}",
        f"tags: {json.dumps(['stpn', *card.tags])}",
        "---",
        "",
    ]


def _code(language: str, lines: Sequence[str]) -> list[str]:
    return [f"```{language}", *lines, "```", ""] if lines else []


def _classes(card: Card) -> list[str]:
    if not card.classes:
        return []
    shown = ", ".join(_plain(name) for name in card.classes[:40])
    plural = "es" if len(card.classes) > 1 else ""
    more = f" and {len(card.classes) - 40} more" if len(card.classes) > 40 else ""
    return [f"{len(card.classes)} class{plural}: {shown}{more}.", ""]


def _training(card: Card) -> list[str]:
    lines = ["## Training", ""]
    if card.record is None:
        lines += ["The record of the training is not part of what was saved.", ""]
    else:
        rows = {**card.data, "step of these weights": f"{card.record.step:,}"}
        lines += _table(("", ""), [(name, _plain(value)) for name, value in rows.items()])
        lines += [
            "The exact configuration of the training is in `recipe.json`; paths in it are cut to "
            "their last part.",
            "",
        ]
    found = [f"Python {platform.python_version()}", *(_version(name) for name in card.versions)]
    return [*lines, f"Saved with {', '.join(found)}.", ""]


def _numbers(card: Card) -> list[str]:
    lines = ["## Numbers", ""]
    if card.record is None or not card.record.scores:
        return [*lines, "None: these weights were not validated by the run that made them.", ""]
    rows = [(name, f"{value:.4f}") for name, value in card.record.scores.items()]
    return [*lines, *([card.measured, ""] if card.measured else []), *_table(("", "value"), rows)]


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> list[str]:
    body = [f"| {name} | {value} |" for name, value in rows]
    return [f"| {head[0]} | {head[1]} |", "| --- | --- |", *body, ""]


def _licence(card: Card) -> str:
    said = (
        f"{card.licence}, says who published these weights."
        if card.licence
        else "Nobody has stated one for these weights: ask who published them before you use them."
    )
    return f"{said} Data sets and the weights a training starts from have licences of their own."


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"{distribution} (unknown)"


def _plain(text: Any) -> str:
    """Names come from data: nothing in them may act as Markdown, HTML or a new row."""
    one_line = " ".join(str(text).split())
    return re.sub(r"([\\`*_{}\[\]<>|#~&!])", r"\\\1", one_line)
