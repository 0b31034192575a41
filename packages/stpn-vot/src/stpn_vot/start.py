"""What a training run starts from: data, model and initial weights, as the recipe says."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import torch

from stpn_core.errors import InputError
from stpn_core.runs import weights_file
from stpn_core.training import same_start
from stpn_data.datasets import open_dataset
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex, require_present
from stpn_data.tracking import (
    Augmentation,
    CropSettings,
    Sampling,
    SupportSampling,
    TrackingDataset,
    find_targets,
)
from stpn_vot.build import build_tracker
from stpn_vot.config import DataConfig, Recipe
from stpn_vot.fresh_start import start_afresh
from stpn_vot.mixformer import MixFormer
from stpn_vot.weights import load_initial

_log = logging.getLogger(__name__)


def training_indexes(data: DataConfig) -> list[VideoIndex]:
    """The data sets to train on, in the order of `data.weights`. Raises InputError if none is named."""
    indexes = [_open(data, data.train_split)]
    if data.lasot:
        indexes.append(open_dataset(data.lasot, "train", format="lasot"))
    if data.trackingnet:
        indexes.append(open_dataset(data.trackingnet, "train", format="trackingnet"))
    if data.coco:
        indexes.append(open_dataset(data.coco, "train", format="coco_targets"))
    return indexes


def validation_index(recipe: Recipe) -> VideoIndex | None:
    """Videos to validate on, None if the recipe names no such split.

    Opened before the first step, so that what is wrong with it is not found out after the last.
    Raises InputError if it cannot be read, DataError if frames are missing.
    """
    if not recipe.data.val_split:
        return None
    try:
        index = _open(recipe.data, recipe.data.val_split)
    except DataError as error:
        raise InputError(
            f"validation split: {error}\n(--data.val-split '' trains without validation)"
        ) from error
    require_present(index)
    return index


def training_clips(indexes: list[VideoIndex], recipe: Recipe) -> TrackingDataset:
    """Clips as the recipe draws them. Raises DataError if there is no target to train on."""
    data, model = recipe.data, recipe.model
    targets = [find_targets(index) for index in indexes]
    for one in targets:
        _log.info("%s: %d targets", one.index.source, len(one))
        for note in one.notes:
            _log.info("  %s", note)
    # The twin's clips are drawn like this, too, though it does not look at the support: then both
    # see the same frames, crops and colours.
    return TrackingDataset(
        targets,
        sampling=Sampling(
            stage="causal" if recipe.objective.stage == "boxes" else "trident",
            online=data.online,
            gap=data.gap,
            negatives=data.negatives,
        ),
        support=SupportSampling(
            count=data.support_count,
            frames=data.support_frames,
            stride=data.support_stride,
            swap=data.support_swap,
            dropout=data.support_dropout,
        ),
        crops=CropSettings(
            template_size=model.template_size,
            search_size=model.search_size,
            template_factor=data.template_factor,
            search_factor=data.search_factor,
            scale_jitter=data.scale_jitter,
            centre_jitter=data.centre_jitter,
            parity=data.parity,
        ),
        augmentation=Augmentation(data.grey, data.flip, data.brightness, data.crop_flip),
        weights=data.weights or None,
        samples_per_epoch=data.samples,
        seed=recipe.run.seed,
    )


def with_classes_of(recipe: Recipe, clips: TrackingDataset) -> Recipe:
    """The recipe with the number of classes that the data has, where the auxiliary loss asks for
    them. Raises InputError if it has another one."""
    found, given = len(clips.classes), recipe.model.num_classes
    if not recipe.model.prompt_aux or given == found:
        return recipe
    if given:
        raise InputError(
            f"the data has {found} classes, the recipe {given}: set --model.num-classes 0 to take "
            "those of the data"
        )
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, num_classes=found))


def starting_model(recipe: Recipe) -> MixFormer:
    """The tracker with its initial weights, the same for a recipe and its twin."""
    model = same_start(
        lambda: build_tracker(recipe.model),
        lambda: build_tracker(recipe.model.without_prompts()),
        recipe.run.seed,
    )
    if not recipe.init:
        torch.manual_seed(recipe.run.seed)
        start_afresh(model.encoder)
    else:
        source = weights_file(recipe.init) if Path(recipe.init).is_dir() else recipe.init
        report = load_initial(
            model, source, architecture=recipe.model.encoder, protocol=recipe.protocol
        )
        _log.info("%s", report)
    return model


def _open(data: DataConfig, split: str) -> VideoIndex:
    if not data.root:
        raise InputError("no data: say where it lies with --data.root FOLDER")
    return open_dataset(data.root, split, format=data.format)
