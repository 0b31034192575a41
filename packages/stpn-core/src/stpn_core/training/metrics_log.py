"""What was measured at which step: one JSON object per line, and TensorBoard if asked."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from stpn_core.errors import InputError, StpnError
from stpn_core.runs.durable import replace_file


class MetricsLog:
    """Appends to `RUN/metrics.jsonl`. Rank 0 only, with the run's lock held.

    Args:
        path: the file; TensorBoard's lie beside it in `tensorboard/`.
        resumed_step: lines of later steps are dropped, since those steps will be taken again; None
            starts an empty log. A line torn by a crash is dropped, too.
        tensorboard: also write TensorBoard events.

    Raises:
        InputError: TensorBoard is asked for and not installed.
    """

    def __init__(
        self, path: Path, *, resumed_step: int | None = None, tensorboard: bool = False
    ) -> None:
        self._board = _summary_writer(path.parent, resumed_step) if tensorboard else None
        kept = b"" if resumed_step is None else b"".join(_lines_up_to(path, resumed_step))
        if not path.exists() or path.read_bytes() != kept:
            replace_file(path, kept)
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def write(self, step: int, **values: float | int | str) -> None:
        """Append one line, so that a killed process loses none. NaN and infinity become null."""
        record: dict[str, Any] = {"step": step}
        for name, value in values.items():
            finite = not isinstance(value, float) or math.isfinite(value)
            record[name] = value if finite else None
            if self._board is not None and not isinstance(value, str):
                self._board.add_scalar(name, value, step)
        try:
            os.write(self._fd, (json.dumps(record) + "\n").encode())
        except OSError as error:
            raise StpnError(f"{self._path}: {error.strerror}; checkpoints are intact") from error

    def close(self) -> None:
        os.close(self._fd)
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a log, also while it is being written."""
    records = (_parse(line) for line in _whole_lines(path))
    return [record for record in records if record is not None]


def _whole_lines(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("step"), int) else None


def _lines_up_to(path: Path, step: int) -> list[bytes]:
    parsed = ((line, _parse(line)) for line in _whole_lines(path))
    return [line for line, record in parsed if record is not None and record["step"] <= step]


def _summary_writer(directory: Path, resumed_step: int | None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "TensorBoard is not installed: pip install 'stpn-core[tensorboard]', "
            "or leave it off; metrics.jsonl has the same numbers"
        ) from None
    purge = 0 if resumed_step is None else resumed_step + 1
    return SummaryWriter(str(directory / "tensorboard"), purge_step=purge)
