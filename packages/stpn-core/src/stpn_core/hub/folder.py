"""A saved model: its folder appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stpn_core.errors import InputError
from stpn_core.runs.durable import TEMPORARY, sync_path, write_new
from stpn_core.weights.header import FORMAT, FORMAT_VERSION

_MAX_CONFIG = 1 << 20  # bytes


def write_folder(folder: Path, files: Mapping[str, bytes | Callable[[Path], object]]) -> Path:
    """Make `folder` with `files`, each given as bytes or written by a function of its path.

    Raises InputError if the folder is there and not empty, or cannot be made; then nothing is left.
    """
    folder = Path(os.path.abspath(folder))
    _require_free(folder)
    staged = folder.with_name(f"{TEMPORARY}{folder.name}-{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staged.mkdir()
        for name, content in files.items():
            if isinstance(content, bytes):
                write_new(staged / name, content)
            else:
                content(staged / name)
                sync_path(staged / name)
        sync_path(staged)
        _require_free(folder)  # somebody else may have been faster
        os.rename(staged, folder)
        sync_path(folder.parent)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return folder


def config_bytes(task: str, model: Any, classes: tuple[str, ...] | list[str] = ()) -> bytes:
    """config.json: which library and task, how the model is built (JSON values), its class names."""
    table = {
        "library_name": FORMAT,
        "format_version": FORMAT_VERSION,
        "task": task,
        "model": model,
        "classes": list(classes),
    }
    return (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()


def check_config(weights: Path, expected: bytes) -> None:
    """Raise InputError if the config.json beside `weights` says something else than their header.

    expected: what `config_bytes` makes of the header. The header builds the model; whoever edits
    the file for readers must not believe that it did. No file, or one of another kind: nothing to
    compare.
    """
    file = weights.parent / "config.json"
    try:
        if file.stat().st_size > _MAX_CONFIG:
            return
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    if not isinstance(found, dict) or found.get("library_name") != FORMAT:
        return
    theirs, ours = _flat(found), _flat(json.loads(expected))
    differing = [  # a setting that the file does not know is newer than the file
        f"{name}: config.json {value!r}, weights {ours.get(name)!r}"
        for name, value in theirs.items()
        if name.startswith(("task", "model", "classes")) and value != ours.get(name)
    ]
    if differing:
        raise InputError(
            f"{file} and the header of {weights.name} do not agree, and the header is what builds "
            "the model:\n  " + "\n  ".join(differing[:8]) + "\nrestore the file, or delete it"
        )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    inner = [_flat(item, f"{name}.{key}" if name else key) for key, item in value.items()]
    return {key: item for part in inner for key, item in part.items()}


def _require_free(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; choose another name, or delete it first")
