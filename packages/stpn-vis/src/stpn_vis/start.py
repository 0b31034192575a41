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
from stpn_data.index import VideoIndex, require_present
from stpn_data.readers import open_dataset
from stpn_data.subset import without_crowds
from stpn_data.transforms import TrainTransform
from stpn_vis.build import build_segmenter
from stpn_vis.config import Format, Recipe
from stpn_vis.segmenter import Segmenter
from stpn_vis.weights import load_initial

_log = logging.getLogger(__name__)


def open_videos(root: str | Path, split: str, format: Format = "auto") -> VideoIndex:
    """The index of one split. Raises InputError if no data is named, or it has no masks."""
    if not str(root):
        raise InputError("no data: say where it lies with --data.root FOLDER")
    index = open_dataset(root, split, format=format)
    if index.masks is None:
        raise InputError(f"{index.source}: has no instance masks; YouTube-VIS layout is needed")
    return index


def training_videos(recipe: Recipe) -> VideoIndex:
    """The videos to train on, without objects that stand for a group; errors as `open_videos`."""
    data = recipe.data
    return without_crowds(open_videos(data.root, data.train_split, data.format))


def validation_index(recipe: Recipe, classes: Sequence[str]) -> VideoIndex | None:
    """Videos to validate on, None if the recipe names no such split.

    Opened before the first step, so that what is wrong with it is not found out after the last.
    Raises InputError if its classes are not `classes` or nothing is annotated, DataError if frames
    are missing.
    """
    data = recipe.data
    if not data.val_split:
        return None
    try:
        index = open_videos(data.root, data.val_split, data.format)
    except DataError as error:
        raise InputError(
            f"validation split: {error}\n(--data.val-split '' trains without validation)"
        ) from error
    if list(index.classes) != list(classes):
        raise InputError(
            f"{index.source} has classes {_few(index.classes)}, training has {_few(classes)}: both "
            "splits need the same"
        )
    if not len(index.labels):
        raise InputError(
            f"{index.source}: has no annotations to validate on, as those of the official validation "
            "sets are not public; hold out training videos instead: --data.train-split 'train[:90%]' "
            "--data.val-split 'train[90%:]'"
        )
    require_present(index, allow_missing=recipe.eval.allow_missing)
    return index


def training_clips(index: VideoIndex, recipe: Recipe) -> ClipDataset:
    """Clips as the recipe draws them: of each video another random key frame each time."""
    data = recipe.data
    transform = TrainTransform(
        short_sides=data.short_sides,
        max_long=data.long_side,
        crop_probability=data.crop_probability,
        crop_short_sides=data.crop_short_sides,
        crop_range=data.crop_range,
        flip_probability=data.flip,
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
        require_boxes=False,  # a frame without objects teaches what is none
        by_video=True,
        draws=data.draws,
    )


def with_classes_of(recipe: Recipe, index: VideoIndex) -> Recipe:
    """The recipe with the number of classes that the data has. Raises InputError if they differ."""
    found = len(index.classes)
    if not found or not len(index.labels):
        raise InputError(f"{index.source}: no annotated objects to learn from")
    if recipe.model.num_classes not in (0, found):
        raise InputError(
            f"{index.source} has {found} classes ({_few(index.classes)}), the recipe "
            f"{recipe.model.num_classes}: set --model.num-classes 0 to take those of the data"
        )
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, num_classes=found))


def starting_model(recipe: Recipe, classes: Sequence[str] = ()) -> Segmenter:
    """The segmenter with its initial weights, the same for a recipe and its twin.

    classes: names of those that the data has, for `class_head` coco.
    """
    pretrained = recipe.init == "imagenet1k"
    model = same_start(
        lambda: build_segmenter(recipe.model, pretrained=pretrained),
        lambda: build_segmenter(recipe.model.single_frame()),
        recipe.run.seed,
        keep="stpn." if pretrained else "",
    )
    if recipe.init and not pretrained:
        source = weights_file(recipe.init) if Path(recipe.init).is_dir() else recipe.init
        report = load_initial(
            model,
            source,
            architecture=recipe.model.encoder,
            class_head=recipe.class_head,
            classes=classes,
        )
        _log.info("%s", report)
    return model


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
