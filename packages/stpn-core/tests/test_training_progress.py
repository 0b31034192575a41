from __future__ import annotations

import pytest

from stpn_core.training import Progress


def test_it_shows_loss_time_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10, start=4) as progress:
        assert progress.advance(0.12345) >= 0
    shown = capsys.readouterr().err
    assert "5/10" in shown
    assert "loss 0.1235" in shown or "loss 0.1234" in shown
    assert "s/step" in shown
    assert "GiB" in shown


def test_other_ranks_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10, shown=False) as progress:
        progress.advance(1.0)
    assert capsys.readouterr().err == ""
