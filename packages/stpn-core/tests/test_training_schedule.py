from __future__ import annotations

import pytest

from stpn_core.training import warmup_step_schedule


def test_warm_up_from_a_third_then_a_tenth_at_each_milestone() -> None:
    lr_at = warmup_step_schedule(3.0, warmup_steps=500, milestones=(1000, 2000))
    assert lr_at(0) == pytest.approx(1.0)
    assert lr_at(250) == pytest.approx(2.0)
    # mmcv: regular * (1 - (1 - step / steps) * (1 - ratio))
    assert lr_at(123) == pytest.approx(3.0 * (1 - (1 - 123 / 500) * (1 - 1 / 3)))
    assert lr_at(500) == lr_at(999) == 3.0
    assert lr_at(1000) == lr_at(1999) == pytest.approx(0.3)
    assert lr_at(2000) == lr_at(10**9) == pytest.approx(0.03)


def test_without_warm_up_the_first_step_is_full() -> None:
    assert warmup_step_schedule(3.0, warmup_steps=0)(0) == 3.0


def test_a_milestone_inside_the_warm_up_counts() -> None:
    assert warmup_step_schedule(3.0, warmup_steps=10, milestones=(5,))(5) == pytest.approx(0.2)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="ascending"):
        warmup_step_schedule(1.0, milestones=(2, 1))
    with pytest.raises(ValueError, match=">= 0"):
        warmup_step_schedule(1.0, warmup_steps=-1)
