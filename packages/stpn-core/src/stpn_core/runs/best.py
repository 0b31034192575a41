"""Which checkpoint scored best, as a small file that is replaced in one step."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

from stpn_core.errors import InputError
from stpn_core.runs.durable import replace_file
from stpn_core.runs.run_dir import RunDir


@dataclass(frozen=True)
class Best:
    step: int
    metric: str
    value: float


def read_best(run: RunDir) -> Best | None:
    """The best step so far, None before the first validation. Raises InputError if unreadable."""
    path = run.path / "best.json"
    try:
        found = json.loads(path.read_bytes())
        return Best(int(found["step"]), str(found["metric"]), float(found["value"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a record of the best step ({error}); delete it to start the record afresh"
        ) from error


def record_best(
    run: RunDir, step: int, metric: str, value: float, *, higher_is_better: bool = True
) -> bool:
    """Record `step` as the best if `value` beats what is recorded; then rotation spares it.

    Safe to repeat: after resuming, call it again with the value the checkpoint holds. NaN never
    wins. A record of another metric is replaced. Returns whether `step` is now the best.

    Raises:
        InputError: there is no checkpoint of `step` to point at.
    """
    run.require_lock()
    if math.isnan(value):
        return False
    if not run.checkpoint(step).is_dir():
        raise InputError(
            f"{run.checkpoint(step)} does not exist, so it cannot be the best: save first"
        )
    best = read_best(run)
    if best is not None and best.metric == metric and best.step != step:
        better = value > best.value if higher_is_better else value < best.value
        if not better:
            return False
    new = Best(step, metric, float(value))
    if new != best:
        replace_file(run.path / "best.json", (json.dumps(asdict(new)) + "\n").encode())
    return True
