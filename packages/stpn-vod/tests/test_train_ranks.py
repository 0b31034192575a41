from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.testing.children import survivors, until, wait
from stpn_core.testing.ranks import launch
from stpn_core.testing.runs import lines, state_of
from stpn_core.testing.trainer import doing_in
from stpn_core.testing.trainer_ranks import RankedTask, TrainerRanksConformance, said
from stpn_core.training import World, init_distributed, loop, shut_down
from stpn_data.readers import open_dataset
from stpn_vod import evaluate as evaluate_module
from stpn_vod import train as train_module
from stpn_vod.evaluate import detect_all, evaluate
from stpn_vod.model_file import load_trained

from .conftest import tiny_recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

ALONE = World(0, 1, 0, torch.device("cpu"))


@pytest.fixture(scope="module")
def ranked(shapes: Path) -> RankedTask:
    recipe = tiny_recipe(shapes, accumulate=2)

    def alone(run: Path) -> Mapping[str, float]:
        data = open_dataset(shapes, "val")
        return evaluate(load_trained(run).model, data, recipe.eval, ALONE)

    return RankedTask("vod", train_module, recipe, "AP", alone)


class TestRanks(TrainerRanksConformance):
    @pytest.mark.parametrize("fault", ["leaves", "input error"])
    def test_when_a_rank_ends_all_end(self, ranked, tmp_path, fault):
        out = tmp_path / "run"

        def broken() -> int:
            def end() -> None:
                if fault == "leaves":
                    os._exit(0)
                raise InputError("a bad box")

            loop.take_step = doing_in(2, end, rank=1)
            return ranked.train(out)

        pid = launch(out, broken)
        assert wait(pid, seconds=60) == 1, said(out)
        assert until(lambda: not survivors(pid), seconds=10)
        if fault == "leaves":  # otherwise the agent may end rank 0 before it noticed
            assert "rank 0 lost another rank" in said(out)
        if fault == "input error":
            assert "error: a bad box" in said(out)

    def test_ranks_leave_an_evaluation_together(self, ranked, undisturbed, tmp_path):
        """SIGTERM reaches one rank alone while all validate."""
        out = tmp_path / "run"
        detect = evaluate_module.detect_sequence

        def stopped() -> int:
            def interrupted(*args: Any, **kwargs: Any) -> Iterator[Any]:
                if os.environ["RANK"] == "1":
                    os.kill(os.getpid(), signal.SIGTERM)
                return detect(*args, **kwargs)

            evaluate_module.detect_sequence = interrupted
            code = ranked.train(out)
            (tmp_path / f"code{os.environ['RANK']}").write_text(str(code))
            return 0

        assert wait(launch(out, stopped)) == 0, said(out)
        assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["143", "143"]
        assert state_of(out) == state_of(undisturbed)
        assert lines(out, "val/AP") == []


def test_every_rank_has_the_numbers_of_one_process(detector, shapes, answered, tmp_path):
    """Two videos over three ranks, of which one has none; four videos, of which one rank has the
    first and the last."""
    config, four = tiny_recipe(shapes).eval, open_dataset(shapes, "train")
    assert (answered.num_videos, four.num_videos) == (2, 4)

    def work() -> int:
        world = init_distributed("cpu", 60)
        numbers = evaluate(detector.model, answered, config, world)
        (tmp_path / f"rank{world.rank}.json").write_text(json.dumps(numbers))
        rows = detect_all(detector.model, four, config, world)
        np.savez(tmp_path / f"rank{world.rank}.npz", **vars(rows))
        shut_down()
        return 0

    assert wait(launch(tmp_path / "run", work, ranks=3)) == 0, (tmp_path / "run.txt").read_text()
    alone = evaluate(detector.model, answered, config, ALONE)
    assert 0.05 < alone["AP"] < 0.95
    rows = vars(detect_all(detector.model, four, config, ALONE))
    for rank in range(3):
        assert json.loads((tmp_path / f"rank{rank}.json").read_text()) == alone
        theirs = np.load(tmp_path / f"rank{rank}.npz")
        assert all(np.array_equal(theirs[name], column) for name, column in rows.items())
