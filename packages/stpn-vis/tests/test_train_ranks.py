from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.testing.children import wait
from stpn_core.testing.ranks import launch
from stpn_core.testing.trainer_ranks import RankedTask, TrainerRanksConformance
from stpn_core.training import World, init_distributed, shut_down
from stpn_data.readers import open_dataset
from stpn_vis import train as train_module
from stpn_vis.evaluate import evaluate, segment_all
from stpn_vis.model_file import load_trained
from stpn_vis.rle import as_json

from .conftest import tiny_recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

ALONE = World(0, 1, 0, torch.device("cpu"))


@pytest.fixture(scope="module")
def ranked(painted: Path) -> RankedTask:
    recipe = tiny_recipe(painted, accumulate=2)

    def alone(run: Path) -> Mapping[str, float]:
        data = open_dataset(painted, "valid")
        return evaluate(load_trained(run).model, data, recipe.eval, ALONE)

    return RankedTask("vis", train_module, recipe, "AP", alone)


class TestRanks(TrainerRanksConformance):
    seconds = 300.0


def test_every_rank_has_the_tracks_of_one_process(segmenter, painted, tmp_path):
    """Four videos over two ranks, two over three, of which one has none."""
    config = tiny_recipe(painted).eval

    def found(split: str, world: World) -> list[Any]:
        tracks = segment_all(segmenter.model, open_dataset(painted, split), config, world)
        return [[t.video, t.category, t.score, [as_json(m) for m in t.masks]] for t in tracks]

    for split, ranks in (("train", 2), ("valid", 3)):

        def work(split: str = split) -> int:
            world = init_distributed("cpu", 120)
            rows = found(split, world)
            (tmp_path / f"{split}{world.rank}.json").write_text(json.dumps(rows))
            shut_down()
            return 0

        log = tmp_path / split
        assert wait(launch(log, work, ranks), 300) == 0, log.with_suffix(".txt").read_text()
        alone = json.loads(json.dumps(found(split, ALONE)))
        for rank in range(ranks):
            assert json.loads((tmp_path / f"{split}{rank}.json").read_text()) == alone
