"""Putting weights into a module, and saying exactly what fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from stpn_core.errors import InputError
from stpn_core.weights.unwrap import strip_wrappers

Misfit = tuple[str, str, str]  # key, what the file has, what the module has


@dataclass(frozen=True)
class LoadReport:
    """What became of every key.

    what: the module, for a person. matched: number of keys loaded. missing: keys of the module that
    the file does not have. unexpected: keys of the file that the module does not have. mismatched:
    (key, what the file has, what the module has); left as they were in the module.
    """

    what: str
    matched: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Misfit, ...]

    def __str__(self) -> str:
        text = f"{self.what}: {self.matched} weights loaded"
        for keys, label in (
            (self.missing, "missing in the file"),
            ([key for key, _, _ in self.mismatched], "left out, other shape"),
            (self.unexpected, "unused"),
        ):
            if keys:
                more = f", and {len(keys) - 5} more" if len(keys) > 5 else ""
                text += f"; {len(keys)} {label} ({', '.join(keys[:5])}{more})"
        return text


def load_state(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    what: str,
    min_matched: float = 0.95,
    mismatched: Literal["refuse", "skip"] = "refuse",
    optional: Sequence[str] = (),
) -> LoadReport:
    """Copy `state` into the parameters and buffers of `module`, after all checks.

    what: names module and file in messages ("the encoder, from swin.pth").
    min_matched: share of the module's keys that must be found with their shape.
    mismatched: "skip" leaves tensors of another shape as they are in the module (a head with other
        classes) and lets them count as found; "refuse" makes them an error.
    optional: prefixes of keys of the module that the file need not have.

    Raises:
        InputError: too little matches or shapes differ; names the first five keys with both shapes.
    """
    wanted, _ = strip_wrappers(module.state_dict(), what)
    given, _ = strip_wrappers(state, what)
    differing = tuple(
        (key, _describe(given[key]), _describe(tensor))
        for key, tensor in wanted.items()
        if key in given and not _compatible(given[key], tensor)
    )
    missing = tuple(key for key in wanted if key not in given)
    report = LoadReport(
        what=what,
        matched=len(wanted) - len(missing) - len(differing),
        missing=missing,
        unexpected=tuple(key for key in given if key not in wanted),
        mismatched=differing,
    )
    _check(report, wanted, given, min_matched, mismatched == "skip", tuple(optional))
    skip = {key for key, _, _ in differing}
    with torch.no_grad():
        for key, tensor in wanted.items():
            if key in given and key not in skip:
                tensor.copy_(given[key])
    return report


def _check(
    report: LoadReport,
    wanted: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    min_matched: float,
    skip_mismatched: bool,
    optional: tuple[str, ...],
) -> None:
    absent = [key for key in report.missing if not (optional and key.startswith(optional))]
    needed = len(wanted) - (len(report.missing) - len(absent))
    lacking = len(absent) + (0 if skip_mismatched else len(report.mismatched))
    enough = needed > 0 and report.matched > 0 and needed - lacking >= min_matched * needed
    if enough and (skip_mismatched or not report.mismatched):
        return
    rows = [f"  {key}: file {has}, model {wants}" for key, has, wants in report.mismatched]
    rows += [f"  {key}: file has none, model {_describe(wanted[key])}" for key in absent]
    if report.unexpected:
        some = [f"{key} {_describe(given[key])}" for key in report.unexpected[:5]]
        rows = [*rows[:5], f"  the file has instead: {', '.join(some)}"]
    else:
        rows = rows[:5]
    raise InputError(
        f"{report.what}: the weights do not fit: {report.matched} of {len(wanted)} keys match "
        f"(at least {min_matched:.0%} must), {len(report.mismatched)} have another shape, "
        f"{len(absent)} are missing\n" + "\n".join(rows)
    )


def _compatible(given: Tensor, wanted: Tensor) -> bool:
    same_kind = given.is_floating_point() == wanted.is_floating_point()
    return given.shape == wanted.shape and same_kind


def _describe(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{kind}"
