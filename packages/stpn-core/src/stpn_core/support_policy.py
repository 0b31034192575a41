"""Which frames support which, as streams need to know it. Needs no torch."""

from __future__ import annotations

from typing import Protocol


class SupportPolicy(Protocol):
    """Which frames support which. Frames are numbered from 0.

    A stream relies on two things. The end of the video only removes frames: `indices(t, n)` is
    `indices(t, None)` without those from n on. And the distance from t back to the first support
    frame, away from the start of the video, repeats with a period of 256 frames at the most.
    """

    @property
    def lookahead(self) -> int:
        """How many frames after t must have been seen before t can be answered."""

    def indices(self, t: int, length: int | None) -> list[int]:
        """Support frames of frame t in a video of `length` frames, None if not known yet."""

    def is_support(self, t: int) -> bool:
        """Whether frame t can support any other frame."""


def reach(policy: SupportPolicy) -> int:
    """How many frames back from t the support may lie."""
    # Asked far from frame 0, where no support is cut off: near it, a frame passed over at first may
    # be wanted later (0 is not among 2 ± 3, but among 3 ± 3).
    settled = range(1 << 14, (1 << 14) + 256)
    return max(max(t - min(policy.indices(t, None), default=t) for t in settled), 0)
