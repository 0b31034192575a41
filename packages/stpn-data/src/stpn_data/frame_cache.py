"""Frames of a video file as images, so that training can reach any of them at once.

Seeking in compressed video is slow and inexact. A video that belongs to a data set is therefore
decoded once, to JPEG files (quality 95, full colour resolution) in the cache folder, and again only
when the file changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from stpn_data.cache import cache_folder
from stpn_data.errors import DataError
from stpn_data.paths import read_file
from stpn_data.video_decode import FileDecoder

QUALITY = 95
_VERSION = 1


@dataclass(frozen=True)
class StoredFrames:
    """Frames 000000.jpg, 000001.jpg … in `folder`."""

    folder: str
    sizes: tuple[tuple[int, int], ...]  # width, height of each frame
    status: str  # complete, truncated or unknown, see `VideoSource`


def damaged_video(folder: str) -> str | None:
    """The video file that `folder` holds frames of, if it ended early or was damaged."""
    if Path(folder).parent != cache_folder() / "frames":
        return None
    about = json.loads(read_file(f"{folder}/frames.json", 1 << 28))
    return about["video"] if about["status"] == "truncated" else None


def store_frames(path: str | os.PathLike[str], *, progress: bool = True) -> StoredFrames:
    """Decode a video file into the cache, or find it there. Raises DataError naming the file."""
    path = os.path.realpath(path)
    try:
        status = os.stat(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    question = f"{_VERSION} {path} {status.st_size} {status.st_mtime_ns}"
    key = hashlib.blake2b(question.encode(errors="surrogateescape"), digest_size=12).hexdigest()
    folder = cache_folder() / "frames" / f"{Path(path).stem[:40]}-{key}"
    if not (folder / "frames.json").is_file():
        _decode_into(path, folder, progress)
    about = json.loads(read_file(folder / "frames.json", 1 << 28))
    sizes = tuple((width, height) for width, height in about["sizes"])
    return StoredFrames(str(folder), sizes, about["status"])


def _decode_into(path: str, folder: Path, progress: bool) -> None:
    from PIL import Image

    decoder = FileDecoder(path)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    sizes = []
    try:
        partial.mkdir(parents=True)
        bar = tqdm(
            decoder,
            desc=f"decoding {Path(path).name}",
            total=decoder.length_hint,
            unit="frame",
            disable=None if progress else True,
        )
        for index, decoded in enumerate(bar):
            file = partial / f"{index:06d}.jpg"
            Image.fromarray(decoded.pixels).save(file, quality=QUALITY, subsampling=0)
            sizes.append((decoded.pixels.shape[1], decoded.pixels.shape[0]))
        about = {"video": path, "sizes": sizes, "status": decoder.status}
        (partial / "frames.json").write_text(json.dumps(about))
        try:
            partial.rename(folder)
        except OSError:
            if not (folder / "frames.json").is_file():  # else another process was faster
                raise
    except OSError as error:
        raise DataError(
            f"{path}: its frames cannot be stored in {folder.parent}: {error.strerror}; "
            "set STPN_CACHE to a folder with room"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
