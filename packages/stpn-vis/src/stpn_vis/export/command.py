"""`stpn vis export`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stpn_core.command import read_text
from stpn_core.export.check import Sample
from stpn_core.export.write import Size, parse_size
from stpn_core.settings import from_json
from stpn_data.arrays.samples import as_input, frames_of_data, frames_of_input
from stpn_data.batch import MEAN, STD
from stpn_vis.config import Recipe
from stpn_vis.config_checks import check_predict
from stpn_vis.export.arguments import ExportArguments
from stpn_vis.export.write import ExportConfig, export
from stpn_vis.model_file import load_trained
from stpn_vis.predict_config import PredictConfig


def run(arguments: ExportArguments) -> int:
    """Export, print what was written and how far it is from torch."""
    recipe = _recipe(arguments.weights)
    config = ExportConfig(
        sizes=tuple(parse_size(text) for text in arguments.size),
        onnx="onnx" in arguments.format,
        torch="torch" in arguments.format,
        opset=arguments.opset,
        predict=_settings(arguments, recipe),
        tolerance=arguments.tolerance,
    )
    frames = []
    if arguments.frames:
        frames = frames_of_input(arguments.frames)
    elif recipe is not None:
        data = recipe.data
        frames = frames_of_data(data.root, data.val_split or data.train_split, data.format)
    if not frames:
        print("no real frames at hand: checked on random ones only (--frames INPUT)")

    def real(size: Size) -> list[Sample]:
        return [Sample(*as_input(frame, size, MEAN, STD), "real") for frame in frames]

    segmenter = load_trained(arguments.weights)
    manifest = export(segmenter, arguments.out, config, real=real if frames else None)
    size = sum(manifest.files.values())
    print(f"{len(manifest.files) + 1} files, {size / 1e6:.1f} MB -> {arguments.out}")
    return 0


def _recipe(weights: Path) -> Recipe | None:
    file = weights / ("config.json" if (weights / "checkpoints").is_dir() else "recipe.json")
    return from_json(Recipe, read_text(file), str(file)) if file.is_file() else None


def _settings(arguments: ExportArguments, recipe: Recipe | None) -> PredictConfig:
    """The flags that were given, else how the run was evaluated, else prediction's defaults."""
    settings = PredictConfig()
    names = ("policy", "count", "stride", "short_side", "long_side")
    if recipe is not None:
        settings = dataclasses.replace(settings, **{n: getattr(recipe.eval, n) for n in names})
    given = {n: getattr(arguments, n) for n in names if getattr(arguments, n) is not None}
    settings = dataclasses.replace(settings, **given)
    check_predict(settings)
    return settings
