"""What could not be used while training, in an account that does not grow with the training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

NAMED = 5


class Skipped:
    """Clips, draws and support crops that could not be used, told as "reason: where: what".

    by_reason: how many there were. named: the first NAMED of each reason, in order.
    """

    def __init__(self) -> None:
        self.by_reason: Counter[str] = Counter()
        self.named: list[str] = []

    @property
    def total(self) -> int:
        """How many there were in all."""
        return self.by_reason.total()

    def add(self, entries: Iterable[str]) -> None:
        """Count some more, and name those of reasons that are new."""
        for entry in entries:
            reason = reason_of(entry)
            if self.by_reason[reason] < NAMED:
                self.named.append(entry)
            self.by_reason[reason] += 1


def reason_of(entry: str) -> str:
    """The reason of "reason: where: what"."""
    return entry.split(":", 1)[0]
