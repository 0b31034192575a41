from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from stpn_core.command import replace_in
from stpn_core.testing.trainer_ranks import RankedTask, TrainerRanksConformance
from stpn_core.training import World
from stpn_data.readers import open_dataset
from stpn_vot import train as train_module
from stpn_vot.evaluate import evaluate
from stpn_vot.model_file import load_trained

from .conftest import tiny_recipe

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    # torch remarks that a depthwise kernel's axis of size 1 has two strides to choose from
    pytest.mark.filterwarnings("ignore:Grad strides do not match:UserWarning"),
]


@pytest.fixture(scope="module")
def ranked(squares: Path) -> RankedTask:
    """Half of the clips come without support, so that ranks differ in which parts they use."""
    recipe = tiny_recipe(squares, accumulate=2)
    halved = replace_in(recipe, "data", support_dropout=0.5, support_swap=0.0)

    def alone(run: Path) -> Mapping[str, float]:
        tracker, world = load_trained(run), World(0, 1, 0, torch.device("cpu"))
        config = tracker.tracking(recipe.eval)
        return evaluate(tracker.model, open_dataset(squares, "val"), config, world)

    return RankedTask("vot", train_module, halved, "AO", alone)


class TestRanks(TrainerRanksConformance):
    seconds = 500.0
