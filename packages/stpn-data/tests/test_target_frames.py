from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from vid_tree import write_image

from stpn_data.defects import Defect, refuse
from stpn_data.errors import DataError
from stpn_data.readers.target_frames import Frames, match_frames, size_of


def match(folder: Path, names: list[str], rows: int, first: int = 1) -> tuple[Frames, list[str]]:
    for name in names:
        (folder / name).touch()
    found: list[Defect] = []
    frames = match_frames(folder, str(folder), rows, found.append, first=first, digits=3)
    return frames, [defect.kind for defect in found]


@pytest.mark.parametrize(
    ("names", "rows", "files", "present", "kinds"),
    [
        (["1.jpg", "2.JPG"], 2, "1.jpg 2.JPG", "11", []),
        (["9.jpg", "10.jpg"], 2, "9.jpg 10.jpg", "11", ["frame numbers"]),
        (["1.jpg", "4.jpg"], 3, "1.jpg 002.jpg 003.jpg 4.jpg", "1001", ["frame numbers"]),
        (["1.png"], 3, "1.png 002.png 003.png", "100", []),
        (["1.jpg", "2.jpg"], 1, "1.jpg 2.jpg", "11", ["rows and images"]),
        ([], 2, "001.jpg 002.jpg", "00", []),
        (["1.jpg", "a.jpg", "notes.txt"], 1, "1.jpg", "1", ["stray image"]),
        (["1.jpg", "99999999999999.jpg"], 1, "1.jpg 99999999999999.jpg", "11", None),
    ],
)
def test_rows_meet_images_by_number(
    tmp_path: Path, names: list[str], rows: int, files: str, present: str, kinds: list[str] | None
) -> None:
    frames, odd = match(tmp_path, names, rows)
    assert frames.files == tuple(files.split())
    assert [str(int(p)) for p in frames.present] == list(present)
    assert kinds is None or odd == kinds


def test_frames_may_count_from_zero(tmp_path: Path) -> None:
    frames, odd = match(tmp_path, ["0.jpg", "1.jpg"], 2, first=0)
    assert (frames.files, odd) == (("0.jpg", "1.jpg"), [])


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    _, odd = match(tmp_path, ["1.jpg", "2.jpg"], 2)
    assert odd == []
    (tmp_path / "002.png").touch()
    with pytest.raises(DataError, match=r"2\.jpg: the same frame as 002\.png"):
        match_frames(tmp_path, str(tmp_path), 2, refuse, first=1, digits=1)


def test_the_size_is_that_of_the_first_image_there(tmp_path: Path) -> None:
    write_image(tmp_path / "2.jpg", size=(30, 20))
    frames, _ = match(tmp_path, [], 3)
    assert size_of(str(tmp_path), frames) == (30, 20)
    Image.new("L", (8, 9)).save(tmp_path / "1.jpg")
    assert size_of(str(tmp_path), match(tmp_path, [], 3)[0]) == (8, 9)
    (tmp_path / "1.jpg").write_bytes(b"no image")
    assert size_of(str(tmp_path), match(tmp_path, [], 3)[0]) == (0, 0)
