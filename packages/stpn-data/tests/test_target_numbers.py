"""Rows of numbers: what is read, and that nothing else than a DataError comes of anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stpn_data.errors import DataError
from stpn_data.readers.target_numbers import read_boxes, read_levels, read_meta


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3,4\n5,6,7,8.5\n",
        "1\t2\t3\t4\n5\t6\t7\t8.5",
        "\ufeff1, 2, 3, 4 \r\n5 6 7 8.5\r\n\r\n",
    ],
)
def test_boxes_in_all_their_spellings(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.txt").write_bytes(text.encode())
    assert read_boxes(tmp_path / "b.txt").tolist() == [[1, 2, 3, 4], [5, 6, 7, 8.5]]


def test_numbers_that_are_not_finite_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("nan,NaN,inf,1e400\n")
    assert not np.isfinite(read_boxes(tmp_path / "b.txt")).any()


def test_labels_by_line_or_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("0\n8\n 3 \n1.0\n")
    assert read_levels(tmp_path / "l.txt", 8).tolist() == [0, 8, 3, 1]
    (tmp_path / "l.txt").write_text("0,1,1, 0\n")
    assert read_levels(tmp_path / "l.txt", 1, one_line=True).tolist() == [0, 1, 1, 0]
    with pytest.raises(DataError, match=r"l\.txt:1: '0,1,1, 0'"):
        read_levels(tmp_path / "l.txt", 1)
    (tmp_path / "l.txt").write_text("")
    assert read_levels(tmp_path / "l.txt", 1).tolist() == []


def test_values_of_meta_information_keep_their_colons(tmp_path: Path) -> None:
    (tmp_path / "m.ini").write_text(
        "[METAINFO]\nurl: https://x.org/v:1\nbegin: 00:01:02\nobject_class:bird\nempty:\nplain\n"
    )
    assert read_meta(tmp_path / "m.ini") == {
        "url": "https://x.org/v:1",
        "begin": "00:01:02",
        "object_class": "bird",
        "empty": "",
    }


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60), st.text("0123456789.,-+eEnaif_ \t\r\n", max_size=60).map(str.encode)
    )
)
def test_any_bytes_are_read_or_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    for read in (
        lambda: read_boxes(path).shape[1] == 4,
        lambda: ((levels := read_levels(path, 8)) <= 8).all() and (levels >= 0).all(),
        lambda: set(read_levels(path, 1, one_line=True).tolist()) <= {0, 1},
    ):
        refused = ""
        try:
            assert read()
        except DataError as error:
            refused = str(error)
        assert refused == "" or refused.startswith(str(path))
