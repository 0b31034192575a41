"""Which frames support frame t: index functions, and policies that bind their settings.

`uniform` is what the released code does at test time, `bilateral` what it does in training,
`window` what the paper describes (section 3), `online` its half that never looks ahead.

Window and online supports lie on multiples of the stride S, so that a stream encodes one frame in S
without prompts (1 + 1/S passes per frame). `exact=True` gives the paper's t ± k·S, for which every
frame becomes a support sooner or later (2 passes per frame).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from stpn_data.errors import DataError

WHOLE_VIDEO = sys.maxsize  # `lookahead` of a policy that cannot answer before the video has ended


def uniform(length: int, count: int) -> list[int]:
    """`count` frames spread evenly over a video of `length` frames, both ends included.

    A video shorter than `count` repeats frames, as the released code does
    (mmtracking, `test_with_adaptive_stride`).
    """
    if length < 1 or count < 1:
        return []
    if count == 1:
        return [0]
    stride = (length - 1) / (count - 1)
    return [round(i * stride) for i in range(count)]


def window(
    t: int, length: int | None, per_side: int = 7, stride: int = 8, exact: bool = False
) -> list[int]:
    """Up to `per_side` frames on each side of t, ascending, without t.

    length: frames of the video; None where its end is not known yet.
    """
    if exact:
        after = [t + k * stride for k in range(1, per_side + 1)]
    else:
        first = (t // stride + 1) * stride
        after = [first + k * stride for k in range(per_side)]
    return online(t, per_side, stride, exact) + [i for i in after if length is None or i < length]


def online(t: int, count: int = 14, stride: int = 8, exact: bool = False) -> list[int]:
    """Up to `count` frames before t, ascending; never t itself nor a later frame."""
    last = t - stride if exact else (t - 1) // stride * stride
    return [i for i in range(last - (count - 1) * stride, last + 1, stride) if i >= 0]


def bilateral(
    rng: np.random.Generator, t: int, length: int, reach: int = 9, count: int = 2
) -> list[int]:
    """`count` random frames for training: half before t, half after, at most `reach` away.

    Too few frames on a side: the first one drawn fills the gap; a still image supports itself
    (released code, `bilateral_uniform` sampling and its padding).
    """
    if count % 2:
        raise DataError(f"bilateral support takes an even number of frames, not {count}")
    drawn: list[int] = []
    for side in (range(max(0, t - reach), t), range(t + 1, min(t + reach, length - 1) + 1)):
        picked = rng.choice(len(side), min(count // 2, len(side)), replace=False)
        drawn += [side[int(i)] for i in picked]
    return drawn + [drawn[0] if drawn else t] * (count - len(drawn))


def _require_positive(**settings: int) -> None:
    for name, value in settings.items():
        if value < 1:
            raise DataError(f"support policy: {name} must be 1 or more, not {value}")


@dataclass(frozen=True)
class UniformPolicy:
    """The same frames for every t, spread over the whole video (released code: 14).

    The only policy that may return t itself, and the same frame twice in a short video: the prompts
    are computed once per video.
    """

    count: int = 14

    def __post_init__(self) -> None:
        _require_positive(count=self.count)

    @property
    def lookahead(self) -> int:
        """Frames after t that must have been seen: all."""
        return WHOLE_VIDEO

    def indices(self, t: int, length: int | None) -> list[int]:
        """Support of frame t. Raises DataError while the length is not known."""
        if length is None:
            raise DataError(
                "uniform support needs the length of the video before its first frame; "
                "use the window or online policy for a stream"
            )
        return uniform(length, self.count)

    def is_support(self, t: int) -> bool:
        """Whether frame t can support another frame."""
        return True


@dataclass(frozen=True)
class WindowPolicy:
    """`per_side` frames before and after t, `stride` apart (paper: 7 and 8)."""

    per_side: int = 7
    stride: int = 8
    exact: bool = False

    def __post_init__(self) -> None:
        _require_positive(per_side=self.per_side, stride=self.stride)

    @property
    def lookahead(self) -> int:
        """Frames after t that must have been seen."""
        return self.per_side * self.stride

    def indices(self, t: int, length: int | None) -> list[int]:
        """Support of frame t; without an upper bound while the length is not known."""
        return window(t, length, self.per_side, self.stride, self.exact)

    def is_support(self, t: int) -> bool:
        """Whether frame t can support another frame."""
        return self.exact or t % self.stride == 0


@dataclass(frozen=True)
class OnlinePolicy:
    """The last `count` frames before t, `stride` apart; nothing after t is ever used."""

    count: int = 14
    stride: int = 8
    exact: bool = False

    def __post_init__(self) -> None:
        _require_positive(count=self.count, stride=self.stride)

    @property
    def lookahead(self) -> int:
        """Frames after t that must have been seen: none."""
        return 0

    def indices(self, t: int, length: int | None) -> list[int]:
        """Support of frame t; the length plays no part."""
        return online(t, self.count, self.stride, self.exact)

    def is_support(self, t: int) -> bool:
        """Whether frame t can support another frame."""
        return self.exact or t % self.stride == 0


Policy = UniformPolicy | WindowPolicy | OnlinePolicy
POLICIES: dict[str, type[Policy]] = {
    "uniform": UniformPolicy,
    "window": WindowPolicy,
    "online": OnlinePolicy,
}


def counted_policy(name: str, count: int, stride: int) -> Policy:
    """Policy of that name with `count` frames in all, of which `window` has half on each side.

    Raises DataError for an unknown name.
    """
    match name:
        case "uniform":
            return UniformPolicy(count)
        case "window":
            return WindowPolicy(max(1, count // 2), stride)
        case "online":
            return OnlinePolicy(count, stride)
        case _:
            raise DataError(f"unknown support policy {name!r}; choose from {', '.join(POLICIES)}")


def parse_policy(name: str, **settings: int | bool | None) -> Policy:
    """Policy from its name and the settings given (None: its default), for command lines.

    Raises DataError for an unknown name, or a setting the policy does not have.
    """
    if name not in POLICIES:
        raise DataError(f"unknown support policy {name!r}; choose from {', '.join(POLICIES)}")
    policy = POLICIES[name]
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if key not in policy.__dataclass_fields__:
            known = ", ".join(policy.__dataclass_fields__)
            raise DataError(f"support policy {name} has no setting {key!r}; it has: {known}")
    return policy(**given)  # type: ignore[arg-type]
