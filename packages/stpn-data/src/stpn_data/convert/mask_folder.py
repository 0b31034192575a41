"""Folders of frames beside folders of masks, as DAVIS and YouTube-VOS have them.

`JPEGImages/<video>/00000.jpg` and `Annotations/<video>/00000.png`. A mask is a palette or grey image
whose value numbers the object (0 is background, 255 of a palette is void), a black and white one,
or a colour image with one colour for each object.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stpn_data import rle
from stpn_data.convert.source import Source, SourceObject, SourceVideo
from stpn_data.errors import DataError
from stpn_data.image_header import MAX_BYTES, image_size, read_header
from stpn_data.paths import (
    IMAGE_SUFFIXES,
    check_relative,
    list_files,
    natural_key,
    read_file,
    resolve_inside,
    walk_folders,
)
from stpn_data.rle import MAX_PIXELS

IMAGE_FOLDERS = ("JPEGImages", "frames", "images")
MASK_FOLDERS = ("Annotations", "masks")
VOID = 255
MOST_OBJECTS = 1000  # in a video; more are a picture, not a mask


def find_folders(root: Path) -> tuple[str, str] | None:
    """Names of the folders of frames and of masks in `root`, if it has both."""
    images = next((name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    masks = next((name for name in MASK_FOLDERS if (root / name).is_dir()), None)
    return (images, masks) if images and masks else None


def read_mask_folder(root: Path, listed: Path | None, category: str) -> Source:
    """Videos below `root`.

    listed: text file with one video per line; all videos otherwise.
    category: of every object, unless `meta.json` names those of YouTube-VOS.

    Frames without a mask file are left out and counted. Raises DataError for folders that do not
    fit together.
    """
    folders = find_folders(root)
    if folders is None:
        raise DataError(f"{root}: needs JPEGImages/ and Annotations/ (or frames/ and masks/)")
    images, masks = (os.path.realpath(root / name) for name in folders)
    names = _listed(listed) if listed else None
    videos: list[SourceVideo] = []
    mask_files: list[tuple[str, ...]] = []
    unmasked = 0
    for inside in walk_folders(root, images, IMAGE_SUFFIXES):
        name = inside or root.name
        if names is not None and not {name, name.rpartition("/")[2]} & names:
            continue
        frames = _by_stem(root, f"{images}/{inside}".rstrip("/"))
        found = _by_stem(root, f"{masks}/{inside}".rstrip("/"), (".png",))
        both = sorted(frames.keys() & found.keys(), key=natural_key)
        unmasked += len(frames) - len(both)
        if both:
            paths = tuple(frames[stem] for stem in both)
            videos.append(SourceVideo(name, paths, image_size(paths[0])))
            mask_files.append(tuple(found[stem] for stem in both))
    there = {part for video in videos for part in (video.name, video.name.rpartition("/")[2])}
    if absent := sorted((names or set()) - there):
        raise DataError(f"{listed}: {root} has no masks of {', '.join(absent[:5])}")
    if not videos:
        raise DataError(
            f"{root}: no frame in {folders[0]}/ has a mask of its name in {folders[1]}/"
        )
    meta = _meta(root)
    classes = {label for objects in meta.values() for label in objects.values()} or {category}
    ids = {name: number for number, name in enumerate(sorted(classes), 1)}
    videos = _without_common_folder(videos)

    def objects(place: int) -> list[SourceObject]:
        video, labels = videos[place], meta.get(videos[place].name.rpartition("/")[2], {})
        return _objects(video, mask_files[place], labels, category, bool(meta))

    notes = [f"{unmasked} frames without a mask are left out"] if unmasked else []
    return Source(videos, ids, objects, notes)


def _objects(
    video: SourceVideo, files: Sequence[str], labels: dict[str, str], category: str, named: bool
) -> list[SourceObject]:
    found: dict[int, SourceObject] = {}
    for t, file in enumerate(files):
        values = _read_mask(file, video.size)
        for value in np.unique(values).tolist():
            if value == 0:
                continue
            if value not in found:
                label = labels.get(str(value))
                if named and label is None:
                    raise DataError(f"{file}: object {value} is not in meta.json")
                found[value] = SourceObject(label or category)
            if len(found) > MOST_OBJECTS:
                raise DataError(f"{file}: more than {MOST_OBJECTS} objects; is this a mask?")
            found[value].runs[t] = rle.decompress(rle.encode(values == value))
    return [found[value] for value in sorted(found)]


def _read_mask(path: str, size: tuple[int, int]) -> NDArray[np.int32]:
    """(H,W) number of the object at each pixel, 0 for none."""
    data = bytes(read_file(path, MAX_BYTES))
    header = read_header(data, path)
    if header.format != "PNG" or header.width * header.height > MAX_PIXELS:
        raise DataError(f"{path}: expected a PNG file of at most {MAX_PIXELS:,} pixels")
    if (header.width, header.height) != size:
        raise DataError(
            f"{path}: {header.width}×{header.height} pixels, its frames have {size[0]}×{size[1]}"
        )
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            mode = image.mode
            plain = mode in ("1", "L", "P", "I", "I;16")
            values = np.asarray(image if plain else image.convert("RGB")).astype(np.int32)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: cannot be decoded: {error}") from error
    if values.ndim == 3:
        return (values << np.array([16, 8, 0])).sum(axis=2).astype(np.int32)
    if mode == "P":
        return np.where(values == VOID, 0, values)
    return np.minimum(values, 1) if set(np.unique(values)) <= {0, VOID} else values


def _by_stem(root: Path, folder: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> dict[str, str]:
    """Absolute paths of the images in `folder` by name without ending."""
    found: dict[str, str] = {}
    for name in sorted(list_files(root, folder, suffixes)):
        stem = name.rpartition(".")[0]
        if stem in found:
            raise DataError(f"{folder}: two images are called {stem}")
        found[stem] = f"{folder}/{name}"
    return found


def _listed(path: Path) -> set[str]:
    try:
        lines = bytes(read_file(path, 1 << 24)).decode().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text") from error
    return {check_relative(line.strip(), f"{path}") for line in lines if line.strip()}


def _meta(root: Path) -> dict[str, dict[str, str]]:
    """Category of each object of each video, as YouTube-VOS's meta.json has it; {} without one."""
    path = root / "meta.json"
    if not path.is_file():
        return {}
    try:
        content: Any = json.loads(read_file(resolve_inside(root, "meta.json", str(root)), 1 << 28))
        return {
            str(video): {str(n): str(thing["category"]) for n, thing in entry["objects"].items()}
            for video, entry in content["videos"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: not as YouTube-VOS has it: {error}") from error


def _without_common_folder(videos: list[SourceVideo]) -> list[SourceVideo]:
    """Names without a folder that all share, such as DAVIS's 480p."""
    tops = {video.name.partition("/")[0] for video in videos}
    if len(tops) > 1 or any("/" not in video.name for video in videos):
        return videos
    return [SourceVideo(v.name.partition("/")[2], v.paths, v.size) for v in videos]
