"""Two processes train and validate as one, stop together, and end together when one dies.

Ranks are forked under the agent that torchrun runs them under; one test uses torchrun itself.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.cli import main
from stpn_core.command import replace_in
from stpn_core.runs import RunDir
from stpn_core.settings import to_json
from stpn_core.testing.children import survivors, until, wait
from stpn_core.testing.ranks import launch
from stpn_core.testing.runs import lines, state_of
from stpn_core.training import World
from stpn_core.training import loop as loop_module
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


def training(recipe_file: Path, out: Path, workers: int = 0) -> int:
    """`stpn vot train` on one rank."""
    train_module.training_loader = functools.partial(
        train_module.training_loader, start_method="fork"
    )
    flags = ["--out", str(out), "--data.workers", str(workers)]
    return main(["vot", "train", str(recipe_file), *flags])


@pytest.fixture(scope="module")
def recipe_file(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the clips come without support, so that ranks differ in which parts they use."""
    recipe = replace_in(
        tiny_recipe(squares, accumulate=2), "data", support_dropout=0.5, support_swap=0.0
    )
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(to_json(recipe))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that nobody disturbed."""
    out = tmp_path_factory.mktemp("ranks") / "undisturbed"
    pid = launch(out, lambda: training(recipe_file, out))
    assert wait(pid, 500) == 0, out.with_suffix(".txt").read_text()
    return out


def test_two_ranks_make_one_run_whose_numbers_one_process_finds_again(undisturbed, squares):
    assert [step for step, _ in lines(undisturbed)] == [1, 2, 3, 4]
    tracker = load_trained(undisturbed)
    alone = evaluate(
        tracker.model,
        open_dataset(squares, "val"),
        tracker.tracking(tiny_recipe(squares).eval),
        World(0, 1, 0, torch.device("cpu")),
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

    assert wait(launch(out, stopped), 500) == 0, out.with_suffix(".txt").read_text()
    assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["143", "143"]
    assert RunDir(out).steps() == [2]
    assert main(["vot", "train", str(recipe_file), "--out", str(out)]) == 2  # alone: refused
    assert wait(launch(out, lambda: training(recipe_file, out, workers=1)), 500) == 0
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
    assert wait(pid, seconds=300) == 1, out.with_suffix(".txt").read_text()
    assert until(lambda: not survivors(pid), seconds=30)


@pytest.mark.slow
def test_torchrun_does_the_same(recipe_file, undisturbed, tmp_path):
    out = tmp_path / "run"
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "stpn_core.cli", "vot", "train", str(recipe_file), "--out", str(out)],
        capture_output=True, text=True, check=False, timeout=500,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    assert state_of(out) == state_of(undisturbed)
    assert lines(out, "val/AO") == lines(undisturbed, "val/AO")
