"""Two processes train and evaluate as one, stop together, and end together when one dies.

Ranks are forked under the agent that torchrun runs them under; one test uses torchrun itself.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.cli import main
from stpn_core.runs import RunDir
from stpn_core.settings import to_json
from stpn_core.testing.children import survivors, until, wait
from stpn_core.testing.ranks import launch
from stpn_core.testing.runs import lines, state_of
from stpn_core.training import World, init_distributed, shut_down
from stpn_core.training import loop as loop_module
from stpn_data.readers import open_dataset
from stpn_vis import train as train_module
from stpn_vis.evaluate import evaluate, segment_all
from stpn_vis.model_file import load_trained
from stpn_vis.rle import as_json

from .conftest import tiny_recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

ALONE = World(0, 1, 0, torch.device("cpu"))


def training(recipe_file: Path, out: Path, workers: int = 0) -> int:
    """`stpn vis train` on one rank."""
    train_module.training_loader = functools.partial(
        train_module.training_loader, start_method="fork"
    )
    flags = ["--out", str(out), "--data.workers", str(workers)]
    return main(["vis", "train", str(recipe_file), *flags])


@pytest.fixture(scope="module")
def recipe_file(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(to_json(tiny_recipe(painted, accumulate=2)))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that nobody disturbed."""
    out = tmp_path_factory.mktemp("ranks") / "undisturbed"
    pid = launch(out, lambda: training(recipe_file, out))
    assert wait(pid, 300) == 0, out.with_suffix(".txt").read_text()
    return out


def test_two_ranks_make_one_run_whose_numbers_one_process_finds_again(undisturbed, painted):
    assert [step for step, _ in lines(undisturbed)] == [1, 2, 3, 4]
    recipe = tiny_recipe(painted)
    alone = evaluate(
        load_trained(undisturbed).model, open_dataset(painted, "valid"), recipe.eval, ALONE
    )
    for name, value in alone.items():
        assert lines(undisturbed, f"val/{name}") == [(4, value)]


def test_stopped_ranks_continue_to_the_same_bits(recipe_file, undisturbed, tmp_path):
    """SIGTERM reaches one rank alone, in step 2; both save after it."""
    out = tmp_path / "run"

    def stopped() -> int:
        take = loop_module.take_step

        def counted(*args: Any) -> Any:
            if args[-1] == 1 and os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGTERM)
            return take(*args)

        loop_module.take_step = counted
        code = training(recipe_file, out)
        (tmp_path / f"code{os.environ['RANK']}").write_text(str(code))
        return 0

    assert wait(launch(out, stopped), 300) == 0, out.with_suffix(".txt").read_text()
    assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["143", "143"]
    assert RunDir(out).steps() == [2]
    assert main(["vis", "train", str(recipe_file), "--out", str(out)]) == 2  # alone: refused
    assert wait(launch(out, lambda: training(recipe_file, out, workers=1)), 300) == 0
    assert state_of(out) == state_of(undisturbed)
    assert lines(out) == lines(undisturbed)


def test_when_a_rank_dies_all_end(recipe_file, tmp_path):
    out = tmp_path / "run"

    def broken() -> int:
        take = loop_module.take_step

        def counted(*args: Any) -> Any:
            if args[-1] == 1 and os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGKILL)
            return take(*args)

        loop_module.take_step = counted
        return training(recipe_file, out)

    pid = launch(out, broken)
    assert wait(pid, seconds=120) == 1, out.with_suffix(".txt").read_text()
    assert until(lambda: not survivors(pid), seconds=10)


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


@pytest.mark.slow
def test_torchrun_does_the_same(recipe_file, undisturbed, tmp_path):
    out = tmp_path / "run"
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "stpn_core.cli", "vis", "train", str(recipe_file), "--out", str(out)],
        capture_output=True, text=True, check=False, timeout=500,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert state_of(out) == state_of(undisturbed)
    assert lines(out, "val/AP") == lines(undisturbed, "val/AP")
