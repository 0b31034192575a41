"""Batches for training: endless, resumable at any batch, the same for any number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Generic

import numpy as np
import torch

from stpn_data.ahead import ahead
from stpn_data.errors import DataError
from stpn_data.order import BatchOrder
from stpn_data.skipped import Skipped
from stpn_data.source import B, ClipSource
from stpn_data.workers import WorkerPool, load_batch


class TrainingLoader(Generic[B]):
    """An endless iterator of the batches that a source makes. Use it in a `with`, or call `close`.

    batches_per_epoch: batches of this rank in an epoch (see BatchOrder for what is left out).
    next_batch: number of the batch that comes next; start there to resume.
    skipped: what could not be used so far.
    """

    def __init__(
        self,
        source: ClipSource[B],
        order: BatchOrder,
        *,
        start_batch: int,
        workers: int,
        prefetch: int,
        divisor: int,
        timeout: float,
        pin_memory: bool,
        start_method: str,
    ) -> None:
        self.source = source
        self.order = order
        self.next_batch = start_batch
        self.skipped = Skipped()
        self._workers = workers
        self._prefetch = prefetch
        self._divisor = divisor
        self._pool: WorkerPool[B] | None = None
        if workers:
            self._pool = WorkerPool(
                source, workers, divisor=divisor, timeout=timeout, start_method=start_method
            )
        batches = self._load(start_batch) if self._pool is None else self._collect(start_batch)
        self._batches = ahead(map(_pinned, batches)) if pin_memory else batches

    @property
    def batches_per_epoch(self) -> int:
        return self.order.batches_per_epoch

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        try:
            batch = next(self._batches)
        except BaseException:
            self.close()
            raise
        self.next_batch += 1
        self.skipped.add(batch.skipped)
        return batch

    def __enter__(self) -> TrainingLoader[B]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes."""
        if self._pool is not None:
            self._pool.close()

    def _load(self, number: int) -> Iterator[B]:
        """Batches loaded here."""
        while True:
            yield load_batch(self.source, self.order.batch(number), self._divisor)
            number += 1

    def _collect(self, number: int) -> Iterator[B]:
        """Batches loaded by the workers in turn, `prefetch` of them under way in each."""
        assert self._pool is not None
        given = number
        while True:
            while given < number + self._workers * self._prefetch:
                self._pool.submit(given % self._workers, self.order.batch(given))
                given += 1
            yield self._pool.receive(number % self._workers)
            number += 1


def _pinned(batch: B) -> B:
    return batch.pin_memory()


def training_loader(
    source: ClipSource[B],
    batch_size: int,
    *,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 2,
    start_batch: int = 0,
    group_by_aspect: bool = True,
    timeout: float = 120.0,
    prefetch: int = 2,
    divisor: int = 32,
    pin_memory: bool | None = None,
    start_method: str = "forkserver",
) -> TrainingLoader[B]:
    """Endless batches of `source` (a ClipDataset, a TrackingDataset, one's own) for one rank.

    workers: processes; 0 loads in this one. The batches are the same.
    start_batch: where to begin; to resume, the number of batches this rank has used.
    group_by_aspect: batch upright and other clips apart, so that less is padded.
    timeout: seconds after which a worker without a sign of life is an error.
    prefetch: batches under way in each worker.
    divisor: height and width of a batch are multiples of it, where clips are padded to one size.
    pin_memory: page-lock batches in a thread; None: if there is a CUDA device.
    start_method: how workers are started (see `workers`). "forkserver" and "spawn" import the main
        module again, so a script of one's own needs `if __name__ == "__main__":`.

    No global random generator is used or changed. Raises DataError for bad settings and unreadable
    data, and WorkerDied, which names the samples, within `timeout` if a worker is stuck and at
    once if it ends.
    """
    if timeout <= 0 or workers < 0 or prefetch < 1 or start_batch < 0 or divisor < 1:
        raise DataError(
            "training_loader needs timeout > 0, workers >= 0, prefetch >= 1, start_batch >= 0 and "
            f"divisor >= 1; got {timeout}, {workers}, {prefetch}, {start_batch} and {divisor}"
        )
    groups = source.groups if group_by_aspect else np.zeros(len(source), np.int64)
    return TrainingLoader(
        source,
        BatchOrder(groups, batch_size, seed=seed, rank=rank, world_size=world_size),
        start_batch=start_batch,
        workers=workers,
        prefetch=prefetch,
        divisor=divisor,
        timeout=timeout,
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        start_method=start_method,
    )
