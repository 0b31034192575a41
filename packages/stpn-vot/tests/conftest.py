"""A few painted sequences, a recipe that trains on them in seconds, and a tracker it made."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tqdm import tqdm

from stpn_core.command import replace_in
from stpn_vot.config import Recipe
from stpn_vot.recipes import synthetic

from .moving_square import got10k_tree
from .networks import PROMPTED


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
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GOT-10k layout: training sequences of 22, 20 and 24 frames of three classes, and one of 3 to
    validate on."""
    root = tmp_path_factory.mktemp("data") / "squares"
    got10k_tree(root, "train", (22, 20, 24))
    return got10k_tree(root, "val", (3,))


def tiny_recipe(data: Path | str, *, steps: int = 4, **optim: Any) -> Recipe:
    """Some thousand weights, both losses; not meant to learn anything."""
    recipe = dataclasses.replace(
        synthetic(), model=dataclasses.replace(PROMPTED, drop_path=0.1, support_grad=True)
    )
    recipe = replace_in(recipe, "data", root=str(data), samples=12, val_split="val", negatives=0.5)
    recipe = replace_in(
        recipe, "optim", steps=steps, batch_size=2, warmup_steps=2, drop_at=(0.75,), **optim
    )
    return replace_in(recipe, "run", save_every=2, log_every=1, device="cpu")


@pytest.fixture(scope="session")
def trained(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of `tiny_recipe`, finished; not to be changed."""
    from stpn_vot.train import train

    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert train(tiny_recipe(squares), out) == 0
    return out
