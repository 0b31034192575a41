from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

from stpn_core.errors import InputError
from stpn_core.training import MetricsLog, read_metrics


def test_lines_are_there_at_once_and_readable_while_open(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.write(1, loss=0.1 + 0.2, epoch=1, note="warm-up")
        assert read_metrics(path) == [{"step": 1, "loss": 0.1 + 0.2, "epoch": 1, "note": "warm-up"}]
        log.write(2, loss=float("nan"), norm=float("inf"))
    assert json.loads(path.read_text().splitlines()[1]) == {"step": 2, "loss": None, "norm": None}


def test_resuming_drops_later_steps_and_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        for step in range(1, 6):
            log.write(step, loss=step / 10)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 2, "lo')
    assert len(read_metrics(path)) == 5
    with MetricsLog(path, resumed_step=3) as log:
        log.write(4, loss=0.5)
    assert [r["step"] for r in read_metrics(path)] == [1, 2, 3, 4]
    assert path.read_bytes().startswith(b"".join(whole.splitlines(keepends=True)[:3]))


def test_a_fresh_start_is_an_empty_log(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n')
    MetricsLog(path).close()
    assert path.read_text() == ""


def test_tensorboard_missing_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"stpn-core\[tensorboard\]"):
        MetricsLog(tmp_path / "metrics.jsonl", tensorboard=True)


def test_tensorboard_gets_the_numbers_and_forgets_later_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[object, ...]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            made.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            made.append((name, value, step))

        def close(self) -> None:
            made.append(("closed",))

    board = types.ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    with MetricsLog(tmp_path / "metrics.jsonl", resumed_step=7, tensorboard=True) as log:
        log.write(8, loss=0.5, note="text")
    assert made == [(str(tmp_path / "tensorboard"), 8), ("loss", 0.5, 8), ("closed",)]
