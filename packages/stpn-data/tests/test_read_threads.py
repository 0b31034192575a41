from __future__ import annotations

import threading
import time

import pytest

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.readers.rows import NameTable
from stpn_data.readers.threads import reading


def test_results_and_defects_come_in_order() -> None:
    def read(item: int, report: OnDefect) -> int:
        time.sleep(0.002 * (item % 3))
        if item % 4 == 0:
            report(Defect("x", str(item), "first"))
            report(Defect("x", str(item), "second"))
        return item * item

    defects: list[Defect] = []
    with reading(read, range(30), defects.append) as results:
        assert list(results) == [i * i for i in range(30)]
    wanted = [(str(i), text) for i in range(0, 30, 4) for text in ("first", "second")]
    assert [(defect.place, defect.message) for defect in defects] == wanted


def test_after_a_refusal_little_more_is_read() -> None:
    begun: list[int] = []

    def read(item: int, report: OnDefect) -> int:
        begun.append(item)
        time.sleep(0.005)
        if item == 3:
            report(Defect("x", "three", "bad"))
        return item

    before = threading.active_count()
    with pytest.raises(DataError, match="three: bad"), reading(read, range(500), refuse) as results:
        list(results)
    assert len(begun) < 250
    assert threading.active_count() == before


def test_names_are_numbered_once_by_many_threads() -> None:
    table = NameTable()
    seen: list[tuple[str, int]] = []

    def work() -> None:
        for i in range(2000):
            name = f"n{i % 50}"
            seen.append((name, table.number(name)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 50
    assert sorted(number for _, number in set(seen)) == list(range(50))
    assert [table.number(name) for name in table.names] == list(range(50))
