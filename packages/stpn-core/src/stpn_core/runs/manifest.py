"""What a checkpoint consists of: each file's size and sha256, and a digest of the list itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stpn_core.errors import InputError

MANIFEST = "manifest.json"
_FORMAT = "stpn-checkpoint"
_CHUNK = 1 << 20


class CheckpointDamaged(InputError):
    """A checkpoint is incomplete or not what was saved; the message names the file."""


@dataclass(frozen=True)
class FileRecord:
    size: int  # bytes
    sha256: str


def manifest_bytes(step: int, files: Mapping[str, FileRecord]) -> bytes:
    """The one byte string for these contents; any other byte string is refused when read."""
    body: dict[str, Any] = {
        "format": _FORMAT,
        "version": 1,
        "step": step,
        "files": {name: asdict(files[name]) for name in sorted(files)},
    }
    body["sha256"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps(body, sort_keys=True, indent=1) + "\n").encode()


def read_manifest(directory: Path, step: int) -> dict[str, FileRecord]:
    """Files that make up the checkpoint of `step` in `directory`.

    Raises CheckpointDamaged if there is no manifest, or it was altered.
    """
    path = directory / MANIFEST
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointDamaged(
            f"{directory}: unverified: without {MANIFEST} nothing says that its files are whole"
        ) from None
    except OSError as error:
        raise CheckpointDamaged(f"{path}: {error.strerror}") from error
    try:
        body = json.loads(found)
        files = {name: FileRecord(**record) for name, record in body["files"].items()}
        intact = found == manifest_bytes(int(body["step"]), files) and body["step"] == step
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise CheckpointDamaged(f"{path}: damaged: it is not the manifest that step {step} saved")
    return files


def file_record(path: Path) -> FileRecord:
    """Size and sha256 of `path` as it can be read now."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileRecord(size, digest.hexdigest())


def verify_file(path: Path, record: FileRecord) -> None:
    """Raise CheckpointDamaged, naming the file, unless `path` holds exactly what was saved."""
    try:
        found = file_record(path)
    except OSError as error:
        raise CheckpointDamaged(f"{path}: {error.strerror}") from error
    if found.size != record.size:
        raise CheckpointDamaged(f"{path}: damaged: {found.size} bytes, {record.size} were saved")
    if found.sha256 != record.sha256:
        raise CheckpointDamaged(f"{path}: damaged: its sha256 is not the one that was saved")


def verify(directory: Path, step: int) -> None:
    """Raise CheckpointDamaged unless every file of the checkpoint is what was saved."""
    for name, record in read_manifest(directory, step).items():
        verify_file(directory / name, record)


def looks_complete(directory: Path, step: int) -> bool:
    """Manifest intact and sizes right: cheap, for deciding what to delete, not what to load."""
    try:
        return all(
            (directory / name).stat().st_size == record.size
            for name, record in read_manifest(directory, step).items()
        )
    except (CheckpointDamaged, OSError):
        return False
