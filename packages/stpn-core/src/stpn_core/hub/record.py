"""What a training run says about the weights it made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from stpn_core.runs import RunDir, load_config
from stpn_core.training.metrics_log import read_metrics


@dataclass(frozen=True)
class RunRecord:
    """Weights of a run: the step they are of, the run's configuration (JSON values), and what
    validation of that step gave by name (empty if it was not validated)."""

    step: int
    config: Mapping[str, Any]
    scores: Mapping[str, float]


def record_of(weights: Path) -> RunRecord | None:
    """The record of a weights file in a run directory; None for a file that lies elsewhere."""
    step = re.fullmatch(r"step-(\d{8,})", weights.parent.name)
    if step is None or weights.parent.parent.name != "checkpoints":
        return None
    run = RunDir(weights.parents[2])
    config = load_config(run)
    if config is None:
        return None
    number = int(step[1])
    scores: dict[str, float] = {}
    for line in read_metrics(run.path / "metrics.jsonl"):
        if line["step"] == number:
            found = {k[4:]: v for k, v in line.items() if k.startswith("val/") and v is not None}
            scores |= found
    return RunRecord(number, config, scores)


def without_places(config: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A copy of `config` in which the settings `names` (dotted) keep the last part of a path only:
    where things lie on somebody's machine is not for publication."""
    copy = _copied(config)
    for name in names:
        *parts, last = name.split(".")
        table = copy
        for part in parts:
            table = table.get(part, {})
        if isinstance(table.get(last), str):
            table[last] = last_part(table[last])
    return copy


def last_part(path: str) -> str:
    """The name of a file or folder, of whichever system."""
    return PureWindowsPath(PurePosixPath(path).name).name


def _copied(value: Any) -> Any:
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, Mapping) else value
