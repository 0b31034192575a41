"""Processes that load batches, and how their end is noticed.

A worker says on its socket which sample it begins, then sends the finished batch. The parent waits
on the sockets and on the processes together: any way to die is seen at once, and the sample it died
on is known.

Workers are started by "forkserver" unless told otherwise: forked from a clean process they inherit
neither CUDA nor locks held by threads nor signal handlers, and torch is imported once for all.
SIGTERM and SIGINT are blocked in them: a signal sent to the process group must not take the data
away from a trainer that wants to finish its step and save. They are ended by SIGKILL, and leave by
themselves when the parent is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from multiprocessing.util import Finalize
from typing import Any, Generic

import torch
from torch import Tensor

from stpn_data.errors import DataError, WorkerDied
from stpn_data.sharing import Arena, Parcel, receive_batch
from stpn_data.source import B, ClipSource, Sample

PRELOAD = "stpn_data.preload"  # imported once, by the process that workers are forked from
START_SECONDS = 120.0  # a worker may take this long to come up, whatever the timeout


@dataclass(frozen=True)
class _Ready:
    """A worker is up."""


@dataclass(frozen=True)
class _Begun:
    """A worker begins to load this sample."""

    sample: Sample


@dataclass(frozen=True)
class _Failed:
    """A worker could not load its batch."""

    error: type[DataError] | type[WorkerDied]
    message: str


def load_batch(
    source: ClipSource[B],
    samples: Sequence[Sample],
    divisor: int,
    begun: Callable[[Sample], None] = lambda sample: None,
    zeros: Callable[..., Tensor] = torch.zeros,
) -> B:
    """Load and collate. Raises DataError as it comes, anything else as WorkerDied that names it."""
    clips = []
    for sample in samples:
        begun(sample)
        try:
            clips.append(source[sample])
        except DataError:
            raise
        except Exception as error:
            raise WorkerDied(
                f"loading {_describe(source, sample)} failed: {type(error).__name__}: {error}\n"
                + "".join(traceback.format_tb(error.__traceback__)[-3:])
            ) from error
    return source.collate(clips, divisor, zeros)


class WorkerPool(Generic[B]):
    """Worker processes; each loads what it is given in that order.

    timeout: seconds without a sign of life from the worker waited for, after which it counts as
        stuck.
    """

    def __init__(
        self,
        source: ClipSource[B],
        workers: int,
        *,
        divisor: int,
        timeout: float,
        start_method: str = "forkserver",
    ) -> None:
        self.source = source
        self.timeout = timeout
        self._connections: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._given: list[deque[list[Sample]]] = [deque() for _ in range(workers)]
        self._at: list[Sample | None] = [None] * workers
        self._up = [False] * workers
        # Finalize also runs when the interpreter leaves, before multiprocessing joins its children
        self.close = Finalize(self, _kill, (self._processes, self._connections), exitpriority=0)
        context: Any = multiprocessing.get_context(start_method)
        if start_method == "forkserver":
            context.set_forkserver_preload([PRELOAD])
        if start_method != "fork":
            ensure_running()  # the tracker they need; starting it would unblock signals again
        with _signals_blocked():
            for number in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work,
                    args=(theirs, source, divisor),
                    name=f"stpn-data-worker-{number}",
                    daemon=True,
                )
                process.start()
                theirs.close()
                self._connections.append(ours)
                self._processes.append(process)

    def submit(self, worker: int, samples: list[Sample]) -> None:
        """Have `worker` load one more batch."""
        self._given[worker].append(samples)
        try:
            self._connections[worker].send(samples)
        except OSError as error:
            raise self._died(worker) from error

    def receive(self, worker: int) -> B:
        """The batch that was given to `worker` first, of those not received yet.

        Raises WorkerDied if any worker has ended or this one is stuck; what the worker could not
        load comes as the error of `load_batch`.
        """
        while True:
            message = self._message(worker)
            if isinstance(message, _Failed):
                raise message.error(message.message)
            if not isinstance(message, _Ready | _Begun):
                return message

    def _message(self, worker: int) -> B | _Ready | _Begun | _Failed:
        connection = self._connections[worker]
        sentinels = [process.sentinel for process in self._processes]
        timeout = self.timeout if self._up[worker] else max(self.timeout, START_SECONDS)
        ready = wait([connection, *sentinels], timeout)
        for other, sentinel in enumerate(sentinels):
            if sentinel in ready:
                raise self._died(other)
        if not ready:
            raise self._died(worker, f"gave no sign of life for {timeout:g} s")
        try:
            return self._read(worker)
        except (EOFError, OSError) as error:
            raise self._died(worker) from error

    def _read(self, worker: int) -> B | _Ready | _Begun | _Failed:
        message: Any = self._connections[worker].recv()
        self._up[worker] = True
        if isinstance(message, _Begun):
            self._at[worker] = message.sample
        elif isinstance(message, Parcel):
            message = receive_batch(self._connections[worker], message)
            self._given[worker].popleft()
            self._at[worker] = None
        return message

    def _died(self, worker: int, how: str = "") -> WorkerDied:
        """The error for a worker that has ended, or is stuck if `how` says so. Ends them all."""
        with suppress(EOFError, OSError):  # what it still said tells the sample it was at
            while self._connections[worker].poll():
                self._read(worker)
        process = self._processes[worker]
        if not how:
            process.join(1)
            how = _how_it_ended(process.exitcode)
        at = self._at[worker]
        where = f"while loading {_describe(self.source, at)}" if at else "between two samples"
        flight = [sample for samples in self._given[worker] for sample in samples]
        names = ", ".join(_describe(self.source, sample) for sample in flight[:16])
        self.close()
        return WorkerDied(
            f"data worker {worker} (process {process.pid}) {how} {where}; "
            f"in flight were {len(flight)} samples: {names}{', …' * (len(flight) > 16)}"
        )


def _work(connection: Connection, source: ClipSource[Any], divisor: int) -> None:
    """Life of a worker."""
    torch.set_num_threads(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        connection.send(_Ready())
        while True:
            _serve(connection, source, divisor, connection.recv())


def _serve(
    connection: Connection, source: ClipSource[Any], divisor: int, samples: Sequence[Sample]
) -> None:
    arena = Arena()
    try:
        batch = load_batch(
            source, samples, divisor, lambda s: connection.send(_Begun(s)), arena.zeros
        )
    except (DataError, WorkerDied) as error:
        connection.send(_Failed(type(error), str(error)))
    else:
        arena.send(connection, batch)
    finally:
        arena.close()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _kill(processes: list[BaseProcess], connections: list[Connection]) -> None:
    for process in processes:
        process.kill()
    for process in processes:
        process.join()
    for connection in connections:
        connection.close()


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Processes started in here are born with SIGTERM and SIGINT blocked; ours arrive afterwards.

    An inherited mask leaves no moment in which a young worker, or the process it is forked from,
    could be hit.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _describe(source: ClipSource[Any], sample: Sample) -> str:
    epoch, position = sample
    return f"{source.name(position, epoch)} (epoch {epoch}, sample {position})"


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is None:
        return "closed its connection"
    if exitcode >= 0:
        return f"left with exit code {exitcode}"
    hints = {
        signal.SIGKILL: ", often the kernel's answer to too little memory",
        signal.SIGBUS: ", often no memory left for shared files",
        signal.SIGSEGV: ", a crash in native code",
    }
    name = signal.Signals(-exitcode).name
    return f"was ended by {name}{hints.get(signal.Signals(-exitcode), '')}"
