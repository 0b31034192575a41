"""One line on the terminal: where training is, the loss, the time of a step, the memory."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import torch
from tqdm import tqdm

from stpn_core.training.memory import peak_memory

_GIB = 1 << 30


class Progress:
    """A progress bar over steps; silent unless `shown` (rank 0)."""

    def __init__(
        self,
        total: int,
        *,
        start: int = 0,
        device: torch.device | str = "cpu",
        shown: bool = True,
        label: str = "train",
    ) -> None:
        self._device = device
        # Into a file, a line every ten seconds is enough.
        calm = 0.2 if sys.stderr.isatty() else 10.0
        self._bar = tqdm(
            total=total, initial=start, desc=label, unit="step", disable=not shown, mininterval=calm
        )
        self._last = time.perf_counter()

    def advance(self, loss: float) -> float:
        """One step is done. Returns its seconds, waiting for data included."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        memory = peak_memory(self._device) / _GIB
        self._bar.set_postfix_str(
            f"loss {loss:.4g}, {seconds:.3g} s/step, {memory:.2f} GiB", refresh=False
        )
        self._bar.update()
        return seconds

    def close(self) -> None:
        self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
