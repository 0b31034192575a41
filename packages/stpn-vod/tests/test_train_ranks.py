"""Several processes train and evaluate as one, stop together, and end together when one dies.

Ranks are forked under the agent that torchrun runs them under; one test uses torchrun itself.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_core.runs import RunDir
from stpn_core.settings import to_json
from stpn_core.testing.children import survivors, until, wait
from stpn_core.testing.ranks import launch
from stpn_core.testing.runs import lines, state_of
from stpn_core.training import World, init_distributed, shut_down
from stpn_core.training import loop as loop_module
from stpn_data.readers import open_dataset
from stpn_vod import evaluate as evaluate_module
from stpn_vod import train as train_module
from stpn_vod.evaluate import detect_all, evaluate
from stpn_vod.model_file import load_trained

from .conftest import tiny_recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

ALONE = World(0, 1, 0, torch.device("cpu"))


def training(recipe_file: Path, out: Path, workers: int = 0) -> int:
    """`stpn vod train` on one rank."""
    train_module.training_loader = functools.partial(
        train_module.training_loader, start_method="fork"
    )
    flags = ["--out", str(out), "--data.workers", str(workers)]
    return main(["vod", "train", str(recipe_file), *flags])


@pytest.fixture(scope="module")
def recipe_file(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(to_json(tiny_recipe(shapes, accumulate=2)))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that nobody disturbed."""
    out = tmp_path_factory.mktemp("ranks") / "undisturbed"
    pid = launch(out, lambda: training(recipe_file, out))
    assert wait(pid) == 0, out.with_suffix(".txt").read_text()
    return out


def test_two_ranks_make_one_run_whose_numbers_one_process_finds_again(undisturbed, shapes):
    assert [step for step, _ in lines(undisturbed)] == [1, 2, 3, 4]
    recipe = tiny_recipe(shapes)
    alone = evaluate(
        load_trained(undisturbed).model, open_dataset(shapes, "val"), recipe.eval, ALONE
    )
    assert alone["AP"] >= 0
    for name, value in alone.items():
        assert lines(undisturbed, f"val/{name}") == [(4, value)]


def test_stopped_ranks_continue_to_the_same_bits(recipe_file, undisturbed, tmp_path):
    """SIGTERM reaches one rank alone, in step 2; both save after it. Continued with workers."""
    out = tmp_path / "run"

    def stopped() -> int:
        update = loop_module.take_step

        def counted(*args: Any) -> Any:
            if args[-1] == 1 and os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGTERM)
            return update(*args)

        loop_module.take_step = counted
        code = training(recipe_file, out)
        (tmp_path / f"code{os.environ['RANK']}").write_text(str(code))
        return 0

    assert wait(launch(out, stopped)) == 0, out.with_suffix(".txt").read_text()
    assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["143", "143"]
    assert RunDir(out).steps() == [2]
    assert main(["vod", "train", str(recipe_file), "--out", str(out)]) == 2  # alone: refused
    assert wait(launch(out, lambda: training(recipe_file, out, workers=2))) == 0
    assert state_of(out) == state_of(undisturbed)
    assert lines(out) == lines(undisturbed)


@pytest.mark.parametrize("fault", ["killed", "leaves", "input error"])
def test_when_a_rank_ends_all_end(recipe_file, tmp_path, fault):
    out = tmp_path / "run"

    def broken() -> int:
        update = loop_module.take_step

        def counted(*args: Any) -> Any:
            if args[-1] == 1 and os.environ["RANK"] == "1":
                if fault == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                elif fault == "leaves":
                    os._exit(0)
                raise InputError("a bad box")
            return update(*args)

        loop_module.take_step = counted
        return training(recipe_file, out)

    pid = launch(out, broken)
    assert wait(pid, seconds=60) == 1, out.with_suffix(".txt").read_text()
    assert until(lambda: not survivors(pid), seconds=10)
    said = out.with_suffix(".txt").read_text()
    if fault == "leaves":  # otherwise the agent may end rank 0 before it noticed
        assert "rank 0 lost another rank" in said
    if fault == "input error":
        assert "error: a bad box" in said


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


def test_ranks_leave_an_evaluation_together(recipe_file, undisturbed, tmp_path):
    """SIGTERM reaches one rank alone while all validate."""
    out = tmp_path / "run"
    detect = evaluate_module.detect_sequence

    def stopped() -> int:
        def interrupted(*args: Any, **kwargs: Any) -> Iterator[Any]:
            if os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGTERM)
            return detect(*args, **kwargs)

        evaluate_module.detect_sequence = interrupted
        code = training(recipe_file, out)
        (tmp_path / f"code{os.environ['RANK']}").write_text(str(code))
        return 0

    assert wait(launch(out, stopped)) == 0, out.with_suffix(".txt").read_text()
    assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["143", "143"]
    assert state_of(out) == state_of(undisturbed)
    assert lines(out, "val/AP") == []


@pytest.mark.slow
def test_torchrun_with_data_workers_does_the_same(recipe_file, undisturbed, tmp_path):
    out = tmp_path / "run"
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "stpn_core.cli", "vod", "train", str(recipe_file), "--out", str(out),
         "--data.workers", "1"],
        capture_output=True, text=True, check=False, timeout=400,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert state_of(out) == state_of(undisturbed)
    assert lines(out, "val/AP") == lines(undisturbed, "val/AP")
