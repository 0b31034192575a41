from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from stpn_data.ahead import ahead


def test_same_items_then_the_end() -> None:
    assert list(ahead(range(50))) == list(range(50))
    assert list(ahead([])) == []


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("third")

    stream = ahead(items())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(stream)


def test_stays_a_little_ahead_and_stops_when_closed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    threads = threading.active_count()
    stream = ahead(items())
    assert next(stream) == 0
    for _ in range(200):
        if len(taken) >= 3:
            break
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(taken) == 3  # one given, one ready, one in the thread's hands
    stream.close()  # type: ignore[attr-defined]
    for _ in range(200):
        if threading.active_count() == threads:
            break
        time.sleep(0.01)
    assert threading.active_count() == threads
    assert len(taken) <= 4
