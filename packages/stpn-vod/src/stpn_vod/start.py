"""What a training run starts from: data, model and initial weights, as the recipe says."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.runs import weights_file
from stpn_core.training import same_start
from stpn_data.clips import ClipDataset
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex, concat, require_present
from stpn_data.readers import open_dataset, read_imagenet_det
from stpn_data.transforms import TrainTransform
from stpn_vod.build import Detector, build_detector
from stpn_vod.config import DataConfig, Recipe
from stpn_vod.weights import load_initial

_log = logging.getLogger(__name__)


def open_split(data: DataConfig, split: str) -> VideoIndex:
    """The index of one split. Raises InputError if the recipe names no data."""
    if not data.root:
        raise InputError("no data: say where it lies with --data.root FOLDER")
    return open_dataset(data.root, split, format=data.format)


def training_index(data: DataConfig) -> VideoIndex:
    """Frames to train on: the training split, and ImageNet DET's still images if asked for."""
    index = open_split(data, data.train_split)
    if not data.det_root:
        return index
    return concat([index, read_imagenet_det(data.det_root, classes=index.classes)])


def validation_index(recipe: Recipe, classes: Sequence[str]) -> VideoIndex | None:
    """Frames to validate on, None if the recipe names no such split.

    Opened before the first step, so that what is wrong with it is not found out after the last.
    Raises InputError if its classes are not `classes`, DataError if frames are missing.
    """
    if not recipe.data.val_split:
        return None
    try:
        index = open_split(recipe.data, recipe.data.val_split)
    except DataError as error:
        raise InputError(
            f"validation split: {error}\n(--data.val-split '' trains without validation)"
        ) from error
    if list(index.classes) != list(classes):
        raise InputError(
            f"{index.source} has classes {_few(index.classes)}, training has {_few(classes)}: both "
            "splits need the same in the same order; classes.txt in the data folder fixes them"
        )
    require_present(index, allow_missing=recipe.eval.allow_missing)
    return index


def training_clips(index: VideoIndex, recipe: Recipe) -> ClipDataset:
    """Clips as the recipe draws them."""
    data = recipe.data
    transform = TrainTransform(
        short_sides=data.short_sides,
        max_long=data.long_side,
        crop_probability=data.crop_probability,
        crop_short_sides=data.crop_short_sides,
        crop_range=data.crop_range,
        flip_probability=data.flip,
        independent_crop=data.independent_crop,
        resampling=data.resampling,
    )
    degrade = None
    if data.degrade > 0:
        from stpn_data.degrade import random_degradation

        degrade = random_degradation(data.degrade)
    # The twin's clips are drawn like this, too, though it does not look at the support: then both
    # see the same key frames, sizes, flips and degradations.
    return ClipDataset(
        index,
        transform,
        count=data.support_count,
        reach=data.reach,
        seed=recipe.run.seed,
        support_dropout=data.support_dropout,
        support_swap=data.support_swap,
        degrade=degrade,
    )


def with_classes_of(recipe: Recipe, index: VideoIndex) -> Recipe:
    """The recipe with the number of classes that the data has. Raises InputError if they differ."""
    found = len(index.classes)
    if not found:
        raise InputError(f"{index.source}: no boxes with classes to learn from")
    if recipe.model.num_classes not in (0, found):
        raise InputError(
            f"{index.source} has {found} classes ({_few(index.classes)}), the recipe "
            f"{recipe.model.num_classes}: set --model.num-classes 0 to take those of the data"
        )
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, num_classes=found))


def starting_model(recipe: Recipe) -> Detector:
    """The detector with its initial weights, the same for a recipe and its twin."""
    pretrained = recipe.init == "imagenet1k"
    model = same_start(
        lambda: build_detector(recipe.model, pretrained=pretrained),
        lambda: build_detector(recipe.model.single_frame()),
        recipe.run.seed,
        keep="stpn." if pretrained else "",
    )
    if recipe.init and not pretrained:
        source = weights_file(recipe.init) if Path(recipe.init).is_dir() else recipe.init
        report = load_initial(model, source, architecture=recipe.model.encoder)
        _log.info("%s", report)
    return model


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
