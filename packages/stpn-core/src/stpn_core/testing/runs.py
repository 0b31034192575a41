"""What a run directory holds, for comparing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stpn_core.runs import RunDir, load_checkpoint
from stpn_core.training import read_metrics


def state_of(run: Path) -> dict[str, Any]:
    """Every number that the latest checkpoint holds, by place."""
    flat: dict[str, Any] = {}

    def visit(value: Any, place: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{place}.{key}")
        elif isinstance(value, list | tuple):
            for key, item in enumerate(value):
                visit(item, f"{place}[{key}]")
        else:
            flat[place] = value.tolist() if isinstance(value, torch.Tensor) else value

    visit(load_checkpoint(RunDir(run), "auto").state, "")
    return flat


def lines(run: Path, key: str = "loss") -> list[tuple[int, float]]:
    """(step, value) of every line of the log that has `key`."""
    return [(r["step"], r[key]) for r in read_metrics(run / "metrics.jsonl") if key in r]
