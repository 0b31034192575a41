from __future__ import annotations

import json
from pathlib import Path

import pytest
from vid_tree import vid_tree, write_image, write_video, write_xml, xml_object
from video_files import make_video

from stpn_data.check import check_dataset
from stpn_data.cli import main
from stpn_data.errors import DataError

DOG = "n02084071"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A tree with one or more of every defect."""
    vid_tree(tmp_path, {"train/s/a": 8, "train/s/b": 4, "val/c": 6})
    images, xml = tmp_path / "Data/VID/train/s/a", tmp_path / "Annotations/VID/train/s/a"
    (images / "000001.JPEG").unlink()
    (xml / "000002.xml").unlink()
    (images / "000003.JPEG").write_bytes((images / "000003.JPEG").read_bytes()[:-60])
    (images / "000004.JPEG").write_bytes(b"<html>")
    write_image(images / "000005.JPEG", 5, (32, 32))
    (xml / "000006.xml").write_text("<annotation")
    write_xml(
        xml / "000007.xml",
        [
            xml_object(DOG, (-3, 5, 20, 30), 1),
            xml_object(DOG, (9, 5, 9, 30), 2),
            xml_object(DOG, (9, 5, 20, 30), 1),
        ],
    )
    write_image(images / "000011.JPEG", 11)
    (images / "notes.txt").touch()
    write_video(tmp_path, "train/s/unlisted", 2)
    with open(tmp_path / "ImageSets/VID/VID_train_15frames.txt", "a") as file:
        file.write("train/s/gone 1 0 2\nnonsense\n")
    write_image(tmp_path / "Data/VID/val/c/000006.JPEG", 6)
    return tmp_path


WANTED = [
    ("missing frame", "a/000001.JPEG", "no such image"),
    ("missing annotation", "a/000002.JPEG", "without annotation"),
    ("unreadable image", "a/000004.JPEG", "not a JPEG"),
    ("size", "a/000005.JPEG", "32×32, its annotation says 64×48"),
    ("annotation", "a/000006.xml", "not readable as XML"),
    ("box outside", "a/000007.JPEG box 0", "(-3, 5, 20, 30) in a frame of 64×48"),
    ("box without area", "a/000007.JPEG box 1", "(9, 5, 9, 30)"),
    ("track twice", "a/000007.JPEG", "track 1 has 2 boxes"),
    ("gap", "train/s/a", "frame 11 follows frame 7"),
    ("stray file", "a/notes.txt", "neither a frame"),
    ("not listed", "train/s/unlisted", "no list names"),
    ("missing video", "train/s/gone", "no such folder"),
    ("list", "VID_train_15frames.txt:", "expected a path and 3 whole numbers"),
    ("not listed", "val/c/000006.JPEG", "a frame that no list names"),
]


def test_every_defect_is_found_in_one_pass(broken: Path) -> None:
    audits = check_dataset(broken)
    assert [audit.split for audit in audits] == ["train", "val"]
    defects = [defect for audit in audits for defect in audit.defects]
    for kind, place, message in WANTED:
        hits = [d for d in defects if d.kind == kind and place in d.place and message in d.message]
        assert len(hits) == 1, (kind, place)
    # what follows from the above, and nothing else
    rest = [d for d in defects if not any(d.kind == k and p in d.place for k, p, _ in WANTED)]
    assert {(d.kind, d.place.rsplit("/VID/", 1)[1]) for d in rest} == {
        ("missing annotation", "train/s/a/000006.JPEG"),
        ("missing annotation", "train/s/a/000011.JPEG"),
        ("missing frame", "train/s/gone/000000.JPEG"),
        ("missing frame", "train/s/gone/000001.JPEG"),
    }


def test_only_decoding_finds_a_cut_image(broken: Path) -> None:
    plain = check_dataset(broken, split="train")[0]
    deep = check_dataset(broken, split="train", decode=True)[0]
    extra = set(deep.defects) - set(plain.defects)
    assert [Path(defect.place).name for defect in extra] == ["000003.JPEG"]


def test_a_clean_data_set_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vid_tree(tmp_path)
    assert main(["check", str(tmp_path), "--decode"]) == 0
    assert capsys.readouterr().out == (
        "train: 2 videos, 9 frames, 9 boxes; no defects\n"
        "val: 1 videos, 6 frames, 6 boxes; no defects\n"
    )


def test_real_data_is_clean(shared: Path) -> None:
    for name in ("vid_wnid", "vid_own_classes"):
        assert [audit.defects for audit in check_dataset(shared / "data" / name)] == [(), ()]


def test_unknown_classes_are_named_with_a_place(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    (tmp_path / "classes.txt").write_text("zebra\n")
    defects = check_dataset(tmp_path, split="val")[0].defects
    assert [(d.kind, d.place) for d in defects] == [("class", f"{tmp_path}: val/c/000000")]


def test_one_s_own_data(tmp_path: Path) -> None:
    for i in (0, 10, 20, 35):
        write_image(tmp_path / f"train/v/{i:03d}.jpg")
    (tmp_path / "train/v.csv").write_text(
        "frame,x1,y1,x2,y2,label\n0,1,1,9,9,a\n5,1,1,9,9,a\n10,1,1,99,9,a\n20,x,1,9,9,a\n"
    )
    defects = check_dataset(tmp_path)[0].defects
    assert {(d.kind, d.place.removeprefix(f"{tmp_path}/train/")) for d in defects} == {
        ("missing frame", "v/005.jpg"),
        ("box outside", "v/010.jpg box 0"),
        ("boxes", "v.csv:5"),
        ("gap", "v (train/v)"),
    }


def test_a_cut_video_is_a_defect(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    path = make_video(tmp_path / "train/v.mkv", 30)
    (tmp_path / "train/v.csv").write_text("frame,x1,y1,x2,y2,label\n0,1,1,9,9,a\n29,1,1,9,9,a\n")
    assert check_dataset(tmp_path)[0].defects == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    audit = check_dataset(tmp_path)[0]
    assert {(d.kind, Path(d.place).name) for d in audit.defects} == {
        ("damaged video", "v.mkv"),
        ("missing frame", "000029.jpg"),
        ("gap", audit.defects[1].place.rsplit("/", 1)[1]),
    }
    assert audit.index is not None
    assert "1 videos end early or are damaged" in audit.index.notes[0]


def test_the_command(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(broken), "--split", "train"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("train: 3 videos, 15 frames, ")
    assert "3 × missing annotation" in lines[-1]
    assert any(line.startswith("missing frame: ") for line in lines)
    assert main(["check", str(broken), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["splits"]["val"]["counts"] == {"not listed": 1}
    assert answer["defects"] == sum(len(split["defects"]) for split in answer["splits"].values())
    assert answer["splits"]["train"]["videos"] == 3
    kinds = {defect["kind"] for defect in answer["splits"]["train"]["defects"]}
    assert kinds == set(answer["splits"]["train"]["counts"])


def test_what_cannot_be_read_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="no data set found"):
        main(["check", str(tmp_path)])
    vid_tree(tmp_path)
    (tmp_path / "ImageSets/VID/VID_train_15frames.txt").write_bytes(b"\xff")
    assert main(["check", str(tmp_path)]) == 2
    out = capsys.readouterr().out
    assert "unusable: " in out
    assert "val: 1 videos, 6 frames, 6 boxes; no defects" in out
