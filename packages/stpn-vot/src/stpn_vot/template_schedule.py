"""When a tracker takes a new online template, as a pure function.

Between updates the best frame so far is the candidate; every `interval` frames it becomes a
template, in a free slot first, then in place of the oldest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from stpn_core.errors import InputError

T = TypeVar("T")
NONE_YET = -1.0


@dataclass(frozen=True)
class UpdateRule:
    """interval: frames between updates. slots: online templates at most. decay: what the best
    score so far is multiplied by each frame. threshold: a candidate's score is above it."""

    interval: int = 10
    slots: int = 2
    decay: float = 0.98
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.interval < 1 or self.slots < 1:
            raise InputError(
                f"template updates need interval and slots of at least 1, got {self.interval} and "
                f"{self.slots}"
            )


@dataclass(frozen=True)
class OnlineTemplates(Generic[T]):
    """Online templates of one target; the first template stays beside them for ever.

    initial: the target's first template. online: those in use. candidate: the next to enter, the
    initial one if no frame was good enough. best: the candidate's decayed score. oldest: the slot
    that is replaced next.
    """

    initial: T
    online: tuple[T, ...]
    candidate: T
    best: float = NONE_YET
    oldest: int = 0


def first_templates(initial: T) -> OnlineTemplates[T]:
    """The state at a target's first frame: its template is the only online one, too."""
    return OnlineTemplates(initial, (initial,), initial)


def after_frame(
    state: OnlineTemplates[T], rule: UpdateRule, frame: int, score: float, cut: Callable[[], T]
) -> OnlineTemplates[T]:
    """The state after frame number `frame` (1 is the first one tracked) with a score in 0..1.

    cut: gives the template at the box just found; called only for a new candidate. `online` is the
    same object as before unless the templates changed.
    """
    best, candidate = state.best * rule.decay, state.candidate
    if score > rule.threshold and score > best:
        best, candidate = score, cut()
    if frame % rule.interval:
        return replace(state, candidate=candidate, best=best)
    online, oldest = state.online, state.oldest
    if len(online) < rule.slots:
        online = (*online, candidate)
    else:
        online = (*online[:oldest], candidate, *online[oldest + 1 :])
        oldest = (oldest + 1) % rule.slots
    # a bad interval must not bring the last one's candidate again
    return OnlineTemplates(state.initial, online, state.initial, NONE_YET, oldest)
