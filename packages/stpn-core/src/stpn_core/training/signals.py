"""Stopping between two steps: SIGTERM and Ctrl-C set a flag, nothing else."""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


class StopFlag:
    """While entered, SIGTERM and SIGINT are remembered instead of ending the process.

    ```
    with StopFlag() as stop:
        for step in ...:
            ...
            if stop:
                save_checkpoint(...)
                return stop.exit_code      # 143 after SIGTERM, 130 after Ctrl-C
    ```
    Further signals change nothing, so none can break a running save. Main thread only.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopFlag:
        self._previous = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        # Workers with `ignore_signals` outlive the polite request that multiprocessing makes when
        # the interpreter leaves, which would then wait for them for ever.
        atexit.unregister(kill_daemons)
        atexit.register(kill_daemons)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal that came first, 0 if none did."""
        return 128 + self.signal if self.signal is not None else 0

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            return
        self.signal = signal.Signals(number)
        # os.write: print may not be called inside a handler that interrupted a print.
        message = (
            f"\n{self.signal.name}: stopping after this step (kill -9 {os.getpid()} is safe)\n"
        )
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, message.encode())


def listening(stop: StopFlag) -> AbstractContextManager[object]:
    """`stop`, where it can listen: signals arrive in the main thread only, elsewhere nobody does."""
    main = threading.current_thread() is threading.main_thread()
    return stop if main else nullcontext()


def ignore_signals(worker: int = 0) -> None:
    """For `worker_init_fn` of a DataLoader: leave stopping to the process that trains.

    A signal to the whole process group would otherwise kill the workers first and fail the step
    that should finish. On Linux the worker is killed when its parent dies, so none is orphaned.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_daemons() -> None:
    """Kill daemonic children, such as data workers, which only ever read."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()
