"""`record.json` beside a tracker's result files: what made them, and under which protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stpn_core.errors import InputError
from stpn_core.runs import replace_file
from stpn_vot.protocol import Protocol, protocol_of

FILE = "record.json"
FORMAT = "stpn-tracking-results"
VERSION = 1


@dataclass(frozen=True)
class ResultRecord:
    """What results come from. settings: whatever else changes them, as plain values."""

    protocol: Protocol
    weights: str
    weights_sha256: str
    data: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def write_record(folder: Path, record: ResultRecord) -> None:
    """Put the record beside the results in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "version": VERSION, **asdict(record)}
    replace_file(folder / FILE, (json.dumps(content, indent=2) + "\n").encode())


def read_record(folder: Path) -> ResultRecord | None:
    """The record of the results in `folder`, None if there is none. Raises InputError if it is
    damaged."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: no record of results; move it away, or name another folder")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: version {content.get('version')}, this one reads {VERSION}")
    weights, digest, data = (content.get(key) for key in ("weights", "weights_sha256", "data"))
    settings = content.get("settings")
    if not (
        isinstance(weights, str)
        and isinstance(digest, str)
        and isinstance(data, str)
        and isinstance(settings, dict)
    ):
        raise InputError(f"{path}: damaged: needs weights, weights_sha256, data and settings")
    return ResultRecord(protocol_of(content, str(path)), weights, digest, data, settings)


def require_same(folder: Path, found: ResultRecord, wanted: ResultRecord) -> None:
    """Raise InputError, naming what differs, unless results can be added to those in `folder`.

    Where weights and data lie may have changed; what they are may not.
    """
    pairs: list[tuple[str, Any, Any]] = [
        ("weights_sha256", found.weights_sha256, wanted.weights_sha256)
    ]
    pairs += [("protocol", found.protocol, wanted.protocol)]
    names = sorted({*found.settings, *wanted.settings})
    pairs += [(name, found.settings.get(name), wanted.settings.get(name)) for name in names]
    differ = [f"{name} {a!r} instead of {b!r}" for name, a, b in pairs if a != b]
    if differ:
        raise InputError(
            f"{folder} holds results of another run ({'; '.join(differ)}): name another folder, or "
            "delete it"
        )
