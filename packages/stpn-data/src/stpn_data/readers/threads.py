"""Reading many small files: threads wait for the disk side by side, results come in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from stpn_data.defects import Defect, OnDefect

_READERS = 8  # a cold disk answers several questions at once; on a warm one they cost nothing

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def reading(
    read: Callable[[Item, OnDefect], Result], items: Iterable[Item], on_defect: OnDefect
) -> Iterator[Iterator[Result]]:
    """Results of `read(item, report)` in the order of `items`.

    Defects reach `on_defect` in the same order, in the calling thread, whatever the threads do; if it
    raises, what has not begun is not read.
    """

    def job(item: Item) -> tuple[Result, list[Defect]]:
        found: list[Defect] = []
        return read(item, found.append), found

    def results() -> Iterator[Result]:
        for result, found in pool.map(job, items):
            for defect in found:
                on_defect(defect)
            yield result

    pool = ThreadPoolExecutor(_READERS)
    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)
