"""What every task's trainer must hold on several ranks; needs pytest.

Ranks are forked under the agent that torchrun runs them under; one test uses torchrun itself.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from stpn_core.cli import main
from stpn_core.runs import RunDir
from stpn_core.settings import to_json
from stpn_core.testing.children import survivors, until, wait
from stpn_core.testing.ranks import launch
from stpn_core.testing.runs import lines, state_of
from stpn_core.testing.trainer import signalled_in
from stpn_core.training import loop


@dataclass(frozen=True)
class RankedTask:
    """A task that is trained on several ranks.

    name: as in `stpn NAME train`. module: the task's `train.py`, with `training_loader`.
    recipe: a tiny recipe as `TrainedTask` has it, which gathers two batches for a step.
    metric: a number of the validation. alone: all of them, of a run's weights, as one process finds
        them.
    """

    name: str
    module: ModuleType
    recipe: Any
    metric: str
    alone: Callable[[Path], Mapping[str, float]]

    def train(self, out: Path, workers: int = 0) -> int:
        """Exit code of `stpn NAME train` on this rank. The recipe is written beside `out`."""
        loader = self.module.training_loader
        self.module.training_loader = functools.partial(loader, start_method="fork")  # type: ignore[attr-defined]
        try:
            flags = ["--out", str(out), "--data.workers", str(workers)]
            return main([self.name, "train", str(self.recipe_file(out)), *flags])
        finally:
            self.module.training_loader = loader  # type: ignore[attr-defined]

    def recipe_file(self, out: Path) -> Path:
        """The recipe as a file, written by whoever comes first."""
        path = out.parent / "recipe.json"
        if not path.exists():
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(to_json(self.recipe))
            part.replace(path)
        return path


class TrainerRanksConformance:
    """Inherit, with a fixture `ranked` of a module that gives a `RankedTask`.

    seconds: how long a run may take before it counts as hanging. The warning that a process with
    threads forks is to be ignored.
    """

    seconds: ClassVar[float] = 120.0

    @pytest.fixture(scope="class")
    @classmethod
    def undisturbed(cls, ranked: RankedTask, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A run of two ranks that nobody disturbed."""
        out = tmp_path_factory.mktemp("ranks") / "undisturbed"
        assert wait(launch(out, lambda: ranked.train(out)), cls.seconds) == 0, said(out)
        return out

    def test_two_ranks_make_one_run_whose_numbers_one_process_finds_again(
        self, ranked: RankedTask, undisturbed: Path
    ) -> None:
        assert [step for step, _ in lines(undisturbed)] == [1, 2, 3, 4]
        alone = ranked.alone(undisturbed)
        assert 0 <= alone[ranked.metric] <= 1
        for name, value in alone.items():
            assert lines(undisturbed, f"val/{name}") == [(4, value)]

    def test_stopped_ranks_continue_to_the_same_bits(
        self, ranked: RankedTask, undisturbed: Path, tmp_path: Path
    ) -> None:
        """SIGTERM reaches one rank alone, in step 2; both save after it. Continued with a worker."""
        out = tmp_path / "run"

        def stopped() -> int:
            loop.take_step = signalled_in(2, rank=1)
            (tmp_path / f"code{os.environ['RANK']}").write_text(str(ranked.train(out)))
            return 0

        assert wait(launch(out, stopped), self.seconds) == 0, said(out)
        assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["143", "143"]
        assert RunDir(out).steps() == [2]
        assert ranked.train(out) == 2  # alone: refused
        assert wait(launch(out, lambda: ranked.train(out, workers=1)), self.seconds) == 0, said(out)
        assert state_of(out) == state_of(undisturbed)
        assert lines(out) == lines(undisturbed)

    def test_when_a_rank_is_killed_all_end(self, ranked: RankedTask, tmp_path: Path) -> None:
        out = tmp_path / "run"

        def broken() -> int:
            loop.take_step = signalled_in(2, rank=1, number=signal.SIGKILL)
            return ranked.train(out)

        pid = launch(out, broken)
        assert wait(pid, 60) == 1, said(out)
        assert until(lambda: not survivors(pid), seconds=10)

    @pytest.mark.slow
    def test_torchrun_does_the_same(
        self, ranked: RankedTask, undisturbed: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        result = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
             "-m", "stpn_core.cli", ranked.name, "train", str(ranked.recipe_file(out)),
             "--out", str(out), "--data.workers", "1"],
            capture_output=True, text=True, check=False, timeout=400,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        assert state_of(out) == state_of(undisturbed)
        metric = f"val/{ranked.metric}"
        assert lines(out, metric) == lines(undisturbed, metric)


def said(out: Path) -> str:
    """What the ranks of a run wrote."""
    return out.with_suffix(".txt").read_text()
