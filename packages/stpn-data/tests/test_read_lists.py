from __future__ import annotations

from pathlib import Path

import pytest

from stpn_data.defects import Defect, refuse
from stpn_data.errors import DataError
from stpn_data.readers.lists import find_list, read_list


def test_lines_and_their_forms(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    path.write_bytes(b"\xef\xbb\xbftrain/a 1 0 40\r\n\r\ntrain/b\t1  39 40")
    lines = list(read_list(path, 3, refuse))
    assert [(line.path, line.numbers) for line in lines] == [
        ("train/a", (1, 0, 40)),
        ("train/b", (1, 39, 40)),
    ]
    assert lines[1].place == f"{path}:3"


def test_every_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "l.txt"
    bad = ["a 1", "a 1 2 3", "a -1 2", "a x 2", "a 1.0 2", "a ١ 2", "a 9999999999 1", "../a 1 2"]
    path.write_text("\n".join(["good 1 2", *bad, "also 3 4"]))
    defects: list[Defect] = []
    assert [line.path for line in read_list(path, 2, defects.append)] == ["good", "also"]
    assert [defect.place for defect in defects] == [f"{path}:{n}" for n in range(2, 10)]
    assert "refusing the path '../a'" in defects[-1].message
    with pytest.raises(DataError, match=r"l\.txt:2: expected a path and 2 whole numbers"):
        list(read_list(path, 2, refuse))


def test_binary_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes(b"a \xff\xfe 1")
    with pytest.raises(DataError, match="not UTF-8 text"):
        list(read_list(tmp_path / "l.txt", 1, refuse))


@pytest.mark.parametrize(
    "folder", ["ImageSets/VID", "ImageSets", "Lists", "Lists/VID", "Lists/DET"]
)
def test_where_lists_are_found(folder: str, tmp_path: Path) -> None:
    assert find_list(tmp_path, "VID_val_videos") is None
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "VID_val_videos.txt").touch()
    assert find_list(tmp_path, "VID_val_videos") == tmp_path / folder / "VID_val_videos.txt"
