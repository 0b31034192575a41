from __future__ import annotations

import pytest

from stpn_core.training import EvaluationStopped, Pace
from stpn_core.training.pace import MEETINGS


def test_a_process_alone_asks_after_each_frame():
    asked: list[int] = []
    pace = Pace(3, alone=True, stop=lambda: bool(asked.append(1)) or len(asked) == 2)
    pace.frame_done()
    with pytest.raises(EvaluationStopped):
        pace.frame_done()
    assert len(asked) == 2


@pytest.mark.parametrize("frames", [0, 1, 7, 1000])
def test_every_rank_comes_to_as_many_meetings(frames):
    asked: list[int] = []
    pace = Pace(frames, alone=False, stop=lambda: bool(asked.append(1)))
    for _ in range(frames):
        pace.frame_done()
    pace.finish()
    assert len(asked) == MEETINGS
