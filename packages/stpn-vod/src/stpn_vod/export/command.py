"""`stpn vod export`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_core.command import read_text
from stpn_core.export.write import parse_size
from stpn_core.settings import from_json
from stpn_data.arrays.samples import as_input, frames_of_data, frames_of_input
from stpn_data.batch import MEAN, STD
from stpn_vod.config import Recipe
from stpn_vod.config_checks import check_predict
from stpn_vod.export.arguments import ExportArguments
from stpn_vod.export.check import Sample
from stpn_vod.export.write import ExportConfig, Frames, Size, export
from stpn_vod.model_file import load_trained
from stpn_vod.predict_config import PredictConfig


def run(arguments: ExportArguments) -> int:
    """Export, print what was written and how far it is from torch."""
    recipe = _recipe(arguments.weights)
    config = ExportConfig(
        sizes=tuple(parse_size(text) for text in arguments.size if text != "any"),
        any_size="any" in arguments.size,
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
    if source:
        return frames_of_input(source)
    if recipe is None:
        return []
    data = recipe.data
    return frames_of_data(data.root, data.val_split or data.train_split, data.format)


def at_size(frames: Sequence[NDArray[np.uint8]]) -> Frames | None:
    """The frames as network input, as large as a padded size allows."""

    def real(size: Size) -> list[Sample]:
        return [Sample(*as_input(frame, size, MEAN, STD), "real") for frame in frames]

    return real if frames else None
