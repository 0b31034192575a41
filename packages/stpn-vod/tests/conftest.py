"""A small synthetic data set, a recipe that trains on it in seconds, and a detector it made."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tqdm import tqdm

from stpn_core.training import World
from stpn_data.index import VideoIndex
from stpn_vod.config import Recipe
from stpn_vod.model_file import TrainedDetector, load_trained
from stpn_vod.recipes import synthetic


@pytest.fixture(scope="session", autouse=True)
def _quiet_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread, which bits do not depend on; no cache of earlier sessions; progress bars that
    share nothing with forked children."""
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0
    tqdm.set_lock(threading.RLock())
    before = os.environ.get("STPN_CACHE")
    os.environ["STPN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("STPN_CACHE")
    if before is not None:
        os.environ["STPN_CACHE"] = before


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four training and two validation videos of eight 64x64 frames, three classes."""
    from stpn_data.synthesize import main

    out = tmp_path_factory.mktemp("data") / "shapes"
    main(
        [str(out), "--videos", "4", "--val-videos", "2", "--frames", "8", "--size", "64x64",
         "--classes", "3", "--seed", "3", "--workers", "1"]
    )  # fmt: skip
    return out


def tiny_recipe(data: Path | str, *, steps: int = 4, **optim: object) -> Recipe:
    """Some thousand weights; not meant to learn anything."""
    recipe = synthetic()
    return dataclasses.replace(
        recipe,
        model=dataclasses.replace(
            recipe.model,
            arch={"embed_dim": 8, "depths": (1, 1, 1), "num_heads": (1, 2, 4)},
            drop_path=0.1,  # so that training draws random numbers
            predictor_options={"num_heads": 2},
            num_prompts=2,
            fpn_channels=8,
            fc_channels=16,
            rpn_samples=16,
            roi_samples=16,
            train_proposals=20,
            test_proposals=20,
        ),
        data=dataclasses.replace(
            recipe.data, root=str(data), short_sides=(64,), long_side=64, crop_probability=0.0
        ),
        optim=dataclasses.replace(recipe.optim, steps=steps, batch_size=2, warmup_steps=2, **optim),
        eval=dataclasses.replace(
            recipe.eval, policy="window", short_side=64, long_side=64, batch_size=3, stride=2
        ),
        run=dataclasses.replace(recipe.run, save_every=2, log_every=1, device="cpu"),
    )


@pytest.fixture(scope="session")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of `tiny_recipe`, finished; not to be changed."""
    from stpn_vod.train import train

    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert train(tiny_recipe(shapes), out) == 0
    return out


@pytest.fixture(scope="session")
def detector(trained: Path) -> TrainedDetector:
    """What `trained` made, with prompts that matter: a predictor of random weights of some size."""
    found = load_trained(trained)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in found.model.stpn.predictor.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return found


@pytest.fixture(scope="session")
def answered(detector: TrainedDetector, shapes: Path) -> VideoIndex:
    """The validation split, annotated with a third of what `detector` finds there, a little moved:
    its numbers are neither 0 nor 1."""
    from stpn_data.readers import open_dataset
    from stpn_vod.evaluate import detect_all

    index = open_dataset(shapes, "val")
    config = tiny_recipe(shapes).eval
    found = detect_all(detector.model, index, config, World(0, 1, 0, torch.device("cpu")))
    rng = np.random.default_rng(0)
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    found = found.take((sides > 4).all(1) & (rng.random(len(found)) < 1 / 3))
    counts = np.bincount(found.frames, minlength=index.num_frames)
    return dataclasses.replace(
        index,
        box_start=np.concatenate([[0], np.cumsum(counts)]),
        boxes=(found.boxes + rng.uniform(0, 3, (len(found), 4))).astype(np.float32),
        labels=found.labels.astype(np.int16),
        tracks=np.full(len(found), -1, np.int32),
        flags=np.zeros(len(found), np.uint8),
    )


@pytest.fixture(scope="session")
def twin_detector(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedDetector:
    """A single-frame detector of random weights."""
    from stpn_data.readers import open_dataset
    from stpn_vod.config import twin
    from stpn_vod.start import starting_model, with_classes_of
    from stpn_vod.weights import save_detector

    index = open_dataset(shapes, "train")
    recipe = with_classes_of(twin(tiny_recipe(shapes)), index)
    path = tmp_path_factory.mktemp("twin") / "twin.safetensors"
    save_detector(path, starting_model(recipe).state_dict(), recipe.model, index.classes)
    return load_trained(path)
