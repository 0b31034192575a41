"""Which checkpoint a run continues from: the newest complete one, or exactly the one named."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.runs import RunDir, read_best, record_best, resume_from, save_checkpoint

Log = pytest.LogCaptureFixture


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Step 10 good, 20 truncated, 30 empty, 40 without manifest."""
    run = RunDir(tmp_path)
    with run:
        for step in (10, 20, 30, 40):
            save_checkpoint(run, step, {"x": torch.full((100,), float(step))}, keep=None)
    state = run.checkpoint(20) / "state.pt"
    state.write_bytes(state.read_bytes()[:-200])
    for path in run.checkpoint(30).iterdir():
        path.unlink()
    (run.checkpoint(40) / "manifest.json").unlink()
    return run


def test_auto_takes_the_newest_complete_and_warns_of_the_others(run: RunDir, caplog: Log) -> None:
    with run, caplog.at_level(logging.WARNING):
        found = resume_from(run, "auto")
    assert found is not None
    assert found.step == 10
    assert float(found.state["x"][0]) == 10
    passed = [r.getMessage() for r in caplog.records if "passing over" in r.getMessage()]
    assert len(passed) == 3
    assert "unverified" in passed[0]
    assert "unverified" in passed[1]
    assert "state.pt" in passed[2]


@pytest.mark.parametrize(
    ("step", "named"),
    [(20, "state.pt"), (30, "step-00000030"), (40, "unverified"), (99, "step-00000099")],
)
def test_a_named_step_that_is_damaged_or_missing_is_an_error(
    run: RunDir, step: int, named: str
) -> None:
    with run, pytest.raises(InputError, match=named) as refusal:
        resume_from(run, str(step))
    assert refusal.value.exit_code == 2
    assert run.steps() == [10, 20, 30, 40]


def test_only_damaged_checkpoints_is_an_error_not_a_fresh_start(run: RunDir) -> None:
    (run.checkpoint(10) / "state.pt").unlink()
    with run, pytest.raises(InputError, match="no complete checkpoint"):
        resume_from(run, "auto")


def test_none_in_a_used_directory_is_an_error(run: RunDir) -> None:
    with run, pytest.raises(InputError, match="--resume auto"):
        resume_from(run, "none")


@pytest.mark.parametrize("which", ["auto", "none"])
def test_a_new_directory_starts_afresh(tmp_path: Path, which: str) -> None:
    with RunDir(tmp_path / "new") as run:
        assert resume_from(run, which) is None


@pytest.mark.parametrize("which", ["last", "-3", "1.5", ""])
def test_nonsense_is_refused(tmp_path: Path, which: str) -> None:
    with RunDir(tmp_path) as run, pytest.raises(InputError, match="say auto, none or"):
        resume_from(run, which)


def test_going_back_sets_later_ones_aside_and_deletes_nothing(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        for round_ in (1, 2):
            if round_ == 1:
                save_checkpoint(run, 10, {})
            save_checkpoint(run, 20, {"round": round_})
            record_best(run, 20, "AP", 0.5)
            found = resume_from(run, 10)
            assert found is not None
            assert found.step == 10
            assert run.steps() == [10]
            assert read_best(run) is None
    shelf = tmp_path / "checkpoints" / "set-aside"
    assert sorted(p.name for p in shelf.iterdir()) == ["step-00000020", "step-00000020-2"]


def test_a_best_step_that_stays_is_remembered(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        for step in (10, 20, 30):
            save_checkpoint(run, step, {})
        record_best(run, 10, "AP", 0.5)
        resume_from(run, 20)
        best = read_best(run)
        assert best is not None
        assert best.step == 10
