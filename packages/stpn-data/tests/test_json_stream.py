from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_data import json_stream
from stpn_data.errors import DataError
from stpn_data.json_stream import read_json_arrays

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)
TOPS = st.dictionaries(
    st.text(max_size=4), st.one_of(VALUES, st.lists(VALUES, max_size=5)), max_size=5
)


def read(path: Path, keys: list[str]) -> tuple[set[str], dict[str, list[Any]]]:
    found: dict[str, list[Any]] = {key: [] for key in keys}

    def handler(key: str) -> Any:
        def take(position: int, element: Any) -> None:
            assert position == len(found[key])
            found[key].append(element)

        return take

    return read_json_arrays(path, {key: handler(key) for key in keys}), found


@settings(max_examples=60, deadline=None)
@given(TOPS, st.integers(1, 40), st.sampled_from([None, 1]))
def test_arrays_come_whole_whatever_the_chunks(
    tmp_path_factory: pytest.TempPathFactory, top: dict[str, Any], chunk: int, indent: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "stream.json"
    path.write_text(json.dumps(top, indent=indent, ensure_ascii=chunk % 2 == 0))
    arrays = [key for key, value in top.items() if isinstance(value, list)]
    before = json_stream._CHUNK
    json_stream._CHUNK = chunk
    try:
        keys, found = read(path, arrays)
    finally:
        json_stream._CHUNK = before
    assert keys == top.keys()
    assert found == {key: top[key] for key in arrays}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected {"),
        ("[]", "expected {, found \\["),
        ('{"a": [1, 2}', "/a/1 .*expected , or \\]"),
        ('{"a": [1, nan]}', "/a/1"),
        ('{"a": [1, NaN]}', "/a/1 .*NaN is not a number"),
        ('{"a": [1e999, -Infinity]}', "-Infinity is not a number"),
        ('{"a": [{"x": 1, "x": 2}]}', "/a/0 .*a key is given twice"),
        ('{"a": [], "a": []}', "the key 'a' is given twice"),
        ('{"a": 3}', "/a .*expected an array"),
        ('{"a": []} x', "text follows"),
        ('{"a": [', "/a"),
        ('{"a": ["open]}', "/a/0"),
        ('{"a": [' + "[" * 100_000, "/a/0 .*too deeply nested"),
        ('{"a": [' + "9" * 5000 + "]}", "/a/0 .*digit"),
        (b'{"a": ["\xff"]}', "not UTF-8"),
        ("{1: []}", "Expecting|is no text"),
    ],
)
def test_faults_have_a_place(text: str | bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=f"x\\.json: .*{reason}"):
        read(path, ["a"])


def test_a_value_without_end_is_not_read_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "_MAX_ELEMENT", 1000)
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    (tmp_path / "x.json").write_text('{"a": ["' + "x" * 5000)
    with pytest.raises(DataError, match="missing quote"):
        read(tmp_path / "x.json", ["a"])


def test_absent_files_and_a_bom(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json"):
        read(tmp_path / "none.json", [])
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": [1], "b": {"c": [2]}}')
    assert read(tmp_path / "x.json", ["a"]) == ({"a", "b"}, {"a": [1]})
