"""Indexes kept between runs, and thrown away when the files they came from change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from stpn_data.index import VideoIndex
from stpn_data.masks import MASK_FIELDS, Masks
from stpn_data.paths import IMAGE_SUFFIXES

VERSION = 4  # of what is stored; a change makes older files unreadable
_TEXTS = ("root", "classes", "source", "video_names", "folders", "notes")
_ARRAYS = tuple(f.name for f in fields(VideoIndex) if f.name not in (*_TEXTS, "masks"))
_SCANNERS = 4  # a cold disk answers several questions at once
_log = logging.getLogger("stpn_data")


def cache_folder() -> Path:
    """Where STPN keeps what it can make again: $STPN_CACHE, $XDG_CACHE_HOME/stpn or
    ~/.cache/stpn.
    """
    if named := os.environ.get("STPN_CACHE"):
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and os.path.isabs(base) else Path.home() / ".cache") / "stpn"


def fingerprint(places: Iterable[Path]) -> str:
    """Changes when a file at or below `places` is added, removed or renamed, or, for files that are
    no images, written. Images count by name only: their content is not in an index.
    """
    digest = hashlib.blake2b(digest_size=16)
    level = [str(place) for place in places]
    with ThreadPoolExecutor(_SCANNERS) as pool:
        while level:
            below: list[str] = []
            for folder, (rows, folders) in zip(level, pool.map(_scan, level), strict=True):
                digest.update("\0".join([folder, *rows]).encode(errors="surrogateescape"))
                below += folders
            level = below
    return digest.hexdigest()


def _scan(place: str) -> tuple[list[str], list[str]]:
    """What is known of the files of a folder (or of one file), and its folders, both sorted."""
    rows, folders = [], []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.lower().endswith(IMAGE_SUFFIXES):
                    rows.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.path)
                else:
                    status = entry.stat(follow_symlinks=False)
                    rows.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    except NotADirectoryError:
        status = os.stat(place)
        rows.append(f"{status.st_size} {status.st_mtime_ns}")
    except OSError:
        return ["absent"], []
    return sorted(rows), sorted(folders)


def cached_index(question: Iterable[str]) -> Path:
    """File for the index that answers `question` (root, split, format, options)."""
    key = hashlib.blake2b("\0".join([str(VERSION), *question]).encode(), digest_size=12).hexdigest()
    return cache_folder() / "indexes" / f"{key}.npz"


def load_index(path: Path, stamp: str) -> VideoIndex | None:
    """The index stored at `path`, if it is whole and has this fingerprint."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            texts = json.loads(stored["texts"].tobytes())
            if texts.pop("stamp") != stamp:
                return None
            arrays: dict[str, Any] = {name: stored[name] for name in _ARRAYS}
            if "masks.counts" in stored:
                arrays["masks"] = Masks(**{name: stored[f"masks.{name}"] for name in MASK_FIELDS})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    decoded = os.path.join(str(cache_folder()), "frames", "")
    if not all(os.path.isdir(f) for f in texts["folders"] if f.startswith(decoded)):
        return None  # decoded frames were cleared away
    root, source = Path(texts.pop("root")), texts.pop("source")
    arrays |= {name: tuple(value) for name, value in texts.items()}
    return VideoIndex(root=root, source=source, **arrays)


def save_index(path: Path, index: VideoIndex, stamp: str) -> None:
    """Store `index`; a folder that cannot be written is no error, only slower next time."""
    texts = {name: getattr(index, name) for name in _TEXTS} | {"root": str(index.root)}
    encoded = np.frombuffer(json.dumps({**texts, "stamp": stamp}).encode(), np.uint8)
    arrays = {name: getattr(index, name) for name in _ARRAYS}
    if index.masks is not None:
        arrays |= {f"masks.{name}": getattr(index.masks, name) for name in MASK_FIELDS}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            np.savez(file, texts=encoded, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        _log.warning("the index is not kept for the next run: %s", error)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
