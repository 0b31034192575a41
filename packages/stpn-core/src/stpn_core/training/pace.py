"""Ranks with unequal work that stop together when one of them is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stpn_core.training.distributed import any_rank

MEETINGS = 200


class EvaluationStopped(Exception):
    """A rank was told to stop before all its work was done; there are no numbers."""


@dataclass
class Pace:
    """Ranks have unequal videos. They meet each time they have done another 1/MEETINGS of their own
    frames: none waits long for another, however long the evaluation, and all stop together.

    frames: how many this rank has. alone: whether it is the only one. stop: asked at each meeting;
    as soon as it says yes on any rank, `frame_done` or `finish` raises EvaluationStopped on all.
    """

    frames: int
    alone: bool
    stop: Callable[[], bool]
    done: int = 0
    met: int = 0

    def frame_done(self) -> None:
        """To be called after each frame."""
        self.done += 1
        meetings = self.frames if self.alone else MEETINGS
        self._meet(meetings * self.done // self.frames)

    def finish(self) -> None:
        """To be called at the end, also by a rank without frames."""
        if not self.alone:
            self._meet(MEETINGS)

    def _meet(self, due: int) -> None:
        while self.met < due:
            self.met += 1
            if any_rank([self.stop()])[0]:
                raise EvaluationStopped
