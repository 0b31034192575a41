"""Taking items from an iterator one step ahead, in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, errors and end; the next one is fetched while this one is used.

    The thread is a daemon: it may wait for ever without keeping the process from leaving.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def fetch() -> None:
        end: BaseException = StopIteration()
        try:
            for item in items:
                ready.put((item, None))
                if stop.is_set():
                    return
        except BaseException as error:
            end = error
        ready.put((None, end))

    threading.Thread(target=fetch, daemon=True).start()
    try:
        while True:
            item, end = ready.get()
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        while not ready.empty():  # let a thread that waits to put see the flag
            ready.get_nowait()
