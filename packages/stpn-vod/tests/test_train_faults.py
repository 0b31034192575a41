"""`stpn vod train` as a process that is stopped, killed, or loses a data worker."""

from __future__ import annotations

import functools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stpn_core.cli import main
from stpn_core.runs import RunDir
from stpn_core.settings import to_json
from stpn_core.testing.children import Counter, ended, fork, survivors, until, wait
from stpn_core.testing.runs import lines, state_of
from stpn_core.training import loop as loop_module
from stpn_vod import train as train_module

from .conftest import tiny_recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

STEPS, KILLS = 12, 5


@pytest.fixture(scope="module")
def recipe_file(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "recipe.json"
    path.write_text(to_json(tiny_recipe(shapes, steps=STEPS, ema=0.9)))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert main(["vod", "train", str(recipe_file), "--out", str(out)]) == 0
    return out


def start(recipe_file: Path, out: Path, steps: Counter, workers: int = 0) -> int:
    """Pid of a forked `stpn vod train`; `steps` counts those it has finished."""

    def work() -> int:
        update, loader = loop_module.take_step, train_module.training_loader

        def counted(*args):
            result = update(*args)
            steps.add()
            return result

        loop_module.take_step = counted
        train_module.training_loader = functools.partial(loader, start_method="fork")
        flags = ["--out", str(out), "--data.workers", str(workers)]
        return main(["vod", "train", str(recipe_file), *flags])

    return fork(work, out.with_suffix(".txt"))


def test_killed_anywhere_and_continued_a_run_has_the_same_bits(recipe_file, undisturbed, tmp_path):
    rng, out = random.Random(3), tmp_path / "run"
    resumed = set()
    for _ in range(KILLS):
        steps = Counter()
        pid = start(recipe_file, out, steps, workers=rng.choice([0, 0, 2]))
        goal = rng.randint(2, 4)
        assert until(lambda s=steps, g=goal, p=pid: s.get() >= g or ended(p))
        time.sleep(rng.uniform(0, 0.05))  # into a step, a save or the evaluation
        os.killpg(pid, signal.SIGKILL)
        assert wait(pid) in (0, -signal.SIGKILL), out.with_suffix(".txt").read_text()
        resumed.add(max(RunDir(out).steps(), default=0))
    assert len(resumed) >= 3  # the kills fell on different places of the run
    pid = start(recipe_file, out, Counter())
    assert wait(pid) == 0, out.with_suffix(".txt").read_text()
    assert state_of(out) == state_of(undisturbed)
    assert lines(out) == lines(undisturbed)
    assert lines(out, "val/AP") == lines(undisturbed, "val/AP")


def test_a_dead_data_worker_ends_the_command_with_6(recipe_file, tmp_path):
    out, steps = tmp_path / "run", Counter()
    pid = start(recipe_file, out, steps, workers=2)
    assert until(lambda: steps.get() >= 1)
    os.kill(pid, signal.SIGSTOP)  # the trainer waits while its worker dies
    victim = next(worker for worker in survivors(pid) if worker != pid)
    os.kill(victim, signal.SIGKILL)
    os.kill(pid, signal.SIGCONT)
    assert wait(pid) == 6
    said = out.with_suffix(".txt").read_text()
    assert "data worker" in said
    assert f"(process {victim}) was ended by SIGKILL" in said
    assert "Traceback" not in said
    assert until(lambda: not survivors(pid), seconds=5)


def test_sigterm_to_the_real_command_and_its_workers_saves_and_exits_143(
    recipe_file, undisturbed, tmp_path
):
    """Every process of the group is hit, as by a batch system or by `timeout`."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "stpn_core.cli", "vod", "train", str(recipe_file)]
    with (tmp_path / "said.txt").open("w") as said:
        child = subprocess.Popen(
            [*command, "--out", str(out), "--data.workers", "2"],
            stdout=said, stderr=said, start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        try:
            assert until(lambda: len(lines(out)) >= 2 or child.poll() is not None)
            assert child.poll() is None
            os.killpg(child.pid, signal.SIGTERM)
            assert child.wait(60) == 143, (tmp_path / "said.txt").read_text()
        finally:
            child.kill()
    assert until(lambda: not survivors(child.pid), seconds=60)
    told = (tmp_path / "said.txt").read_text()
    assert "SIGTERM: stopping after this step" in told
    assert "Traceback" not in told
    assert RunDir(out).steps()[-1] == len(lines(out))
    assert main(["vod", "train", str(recipe_file), "--out", str(out)]) == 0
    assert state_of(out) == state_of(undisturbed)
    assert lines(out) == lines(undisturbed)
