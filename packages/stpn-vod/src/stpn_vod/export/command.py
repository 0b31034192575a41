"""`stpn vod export`."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_core.command import read_text
from stpn_core.errors import InputError
from stpn_core.settings import from_json
from stpn_data.arrays.frames import FrameSource
from stpn_data.arrays.resize import resize
from stpn_data.batch import MEAN, STD
from stpn_data.errors import DataError
from stpn_data.image_pixels import decode_pixels
from stpn_data.readers import open_dataset
from stpn_vod.config import Recipe
from stpn_vod.config_checks import check_predict
from stpn_vod.export.arguments import ExportArguments
from stpn_vod.export.check import Sample
from stpn_vod.export.write import ExportConfig, Frames, Size, export
from stpn_vod.model_file import load_trained
from stpn_vod.predict_config import PredictConfig

_REAL = 3
"""Real frames that an export is checked on, a few frames apart."""
_APART = 5


def run(arguments: ExportArguments) -> int:
    """Export, print what was written and how far it is from torch."""
    recipe = _recipe(arguments.weights)
    config = ExportConfig(
        sizes=tuple(_size(text) for text in arguments.size),
        onnx="onnx" in arguments.format,
        torch="torch" in arguments.format,
        opset=arguments.opset,
        predict=_settings(arguments, recipe),
        tolerance=arguments.tolerance,
    )
    pixels = real_frames(arguments.frames, recipe)
    if not pixels:
        print("no real frames at hand: checked on random ones only (--frames INPUT)")
    manifest = export(load_trained(arguments.weights), arguments.out, config, real=at_size(pixels))
    size = sum(manifest.files.values())
    print(f"{len(manifest.files) + 1} files, {size / 1e6:.1f} MB -> {arguments.out}")
    return 0


def _size(text: str) -> Size:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise InputError(f"--size {text}: expected HEIGHTxWIDTH such as 608x1024")
    return int(found[1]), int(found[2])


def _recipe(weights: Path) -> Recipe | None:
    file = weights / ("config.json" if (weights / "checkpoints").is_dir() else "recipe.json")
    return from_json(Recipe, read_text(file), str(file)) if file.is_file() else None


def _settings(arguments: ExportArguments, recipe: Recipe | None) -> PredictConfig:
    """The flags that were given, else how the run was evaluated, else prediction's defaults."""
    settings = PredictConfig()
    names = ("policy", "count", "stride", "short_side", "long_side", "resampling")
    if recipe is not None:
        settings = dataclasses.replace(settings, **{n: getattr(recipe.eval, n) for n in names})
    given = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    settings = dataclasses.replace(settings, **given)
    check_predict(settings)
    return settings


def real_frames(source: str, recipe: Recipe | None) -> list[NDArray[np.uint8]]:
    """A few frames (H, W, 3) of one size."""
    frames: Iterator[NDArray[np.uint8]]
    if source:
        frames = (frame.image.transpose(1, 2, 0) for frame in FrameSource(source))
    elif recipe is not None and recipe.data.root and Path(recipe.data.root).is_dir():
        frames = _of_data(recipe)
    else:
        return []
    try:
        few = list(itertools.islice(frames, 0, _REAL * _APART, _APART))
    except DataError:
        if source:
            raise
        return []  # the data have changed since
    return [frame for frame in few if frame.shape == few[0].shape]


def _of_data(recipe: Recipe) -> Iterator[NDArray[np.uint8]]:
    data = recipe.data
    split = data.val_split or data.train_split
    index = open_dataset(data.root, split, format=data.format, progress=False)
    for frame in range(index.num_frames):
        yield decode_pixels(index.frame_path(frame))


def at_size(frames: Sequence[NDArray[np.uint8]]) -> Frames | None:
    """The frames as network input, as large as a padded size allows."""

    def real(size: Size) -> list[Sample]:
        samples = []
        for frame in frames:
            height, width = frame.shape[:2]
            factor = min(size[0] / height, size[1] / width)
            fitting = max(1, int(height * factor)), max(1, int(width * factor))
            image = np.zeros((1, 3, *size), np.float32)
            pixels = (resize(frame, fitting) - np.array(MEAN, np.float32)) / np.array(
                STD, np.float32
            )
            image[0, :, : fitting[0], : fitting[1]] = pixels.transpose(2, 0, 1)
            samples.append(Sample(image, fitting, "real"))
        return samples

    return real if frames else None
