"""`stpn data check` on tracking sets: each fault is found, named, and absent where it is not made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from target_trees import box_lines, got10k_sequence, got10k_split, write_frames, write_lines

from stpn_data.check import check_dataset
from stpn_data.cli import main
from stpn_data.defects import Defect
from stpn_data.info import describe, describe_text

NAMES = [f"GOT-10k_Train_{n:06d}" for n in (1, 2, 3)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    got10k_split(tmp_path / "train", NAMES, count=5)
    return tmp_path


def defects(root: Path) -> list[Defect]:
    return [defect for audit in check_dataset(root, progress=False) for defect in audit.defects]


def zero_cover(folder: Path) -> None:
    write_lines(folder / "cover.label", [0] * 5)


def short_cover(folder: Path) -> None:
    write_lines(folder / "cover.label", [8] * 4)


def short_cut(folder: Path) -> None:
    write_lines(folder / "cut_by_image.label", [0] * 3)


def box_outside(folder: Path) -> None:
    write_lines(folder / "groundtruth.txt", [*box_lines(4), "50,8,30,20"])


def box_beyond(folder: Path) -> None:
    write_lines(folder / "groundtruth.txt", [*box_lines(4), "70,8,30,20"])


def box_not_finite(folder: Path) -> None:
    write_lines(folder / "groundtruth.txt", [*box_lines(4), "50,inf,30,20"])


def leading(folder: Path) -> None:
    write_frames(folder, [f"{t + 1:08d}.jpg" for t in range(5)], same=3)


def missing_frame(folder: Path) -> None:
    (folder / "00000005.jpg").unlink()


def frame_left_out(folder: Path) -> None:
    (folder / "00000003.jpg").rename(folder / "00000009.jpg")


def more_frames(folder: Path) -> None:
    write_frames(folder, [f"{t + 1:08d}.jpg" for t in range(6)])


def missing_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    (folder.parent / "elsewhere/groundtruth.txt").unlink()


def extra_folder(folder: Path) -> None:
    got10k_sequence(folder.parent / "GOT-10k_Train_000009")


def starts_hidden(folder: Path) -> None:
    write_lines(folder / "absence.label", [1, 0, 0, 0, 0])


def other_size(folder: Path) -> None:
    meta = folder / "meta_info.ini"
    meta.write_text(meta.read_text().replace("(64, 48)", "(48, 64)"))


def no_meta(folder: Path) -> None:
    (folder / "meta_info.ini").unlink()


def stray(folder: Path) -> None:
    write_frames(folder, ["thumb.jpg"])


@pytest.mark.parametrize(
    ("spoil", "kinds", "text"),
    [
        (zero_cover, {"all covered": 1, "never visible": 1}, "all zero"),
        (short_cover, {"labels": 1}, "4 labels, but 5 boxes"),
        (short_cut, {"cut label": 1}, "3 labels, but 5 boxes"),
        (box_outside, {"box outside": 1}, "(50, 8, 80, 28) in a frame of 64×48"),
        (box_beyond, {"box without area": 1}, "(70, 8, 100, 28)"),
        (box_not_finite, {"box not finite": 1}, "(50, inf, 30, 20)"),
        (
            leading,
            {"repeated frames": 1},
            "the first 3 frames are one picture, while the box moves",
        ),
        (missing_frame, {"missing frame": 1}, "no such image"),
        (frame_left_out, {"frame numbers": 1}, "5 images numbered 1 to 9, expected 1 and on"),
        (more_frames, {"rows and images": 1}, "6 images, but 5 boxes"),
        (missing_folder, {"list": 1}, "there is no folder GOT-10k_Train_000002"),
        (extra_folder, {"not listed": 1}, "the split does not hold"),
        (starts_hidden, {"first frame": 1}, "which a tracker starts from"),
        (other_size, {"size": 5}, "the image is 64×48, its annotation says 48×64"),
        (no_meta, {"meta": 1}, "no such file"),
        (stray, {"stray image": 1}, "its name is no number"),
    ],
)
def test_each_fault_is_named(
    tree: Path, spoil: Callable[[Path], None], kinds: dict[str, int], text: str
) -> None:
    assert defects(tree) == []
    spoil(tree / "train" / NAMES[1])
    found = defects(tree)
    counts = {kind: sum(d.kind == kind for d in found) for kind in {d.kind for d in found}}
    if spoil is other_size:  # the box fits the other size, too
        counts.pop("box outside", None)
    assert counts == kinds
    assert any(text in d.message for d in found)
    assert all("GOT-10k_Train_000001" not in str(d) for d in found)


def test_hidden_targets_may_have_any_box(tree: Path) -> None:
    folder = tree / "train" / NAMES[0]
    write_lines(folder / "groundtruth.txt", [*box_lines(4), "0,0,0,0"])
    assert [defect.kind for defect in defects(tree)] == ["box without area"]
    write_lines(folder / "absence.label", [0, 0, 0, 0, 1])
    assert defects(tree) == []


def test_test_rows(tmp_path: Path) -> None:
    got10k_split(tmp_path / "test", ["GOT-10k_Test_000001"], boxes=box_lines(1))
    assert defects(tmp_path) == []
    write_lines(tmp_path / "test/GOT-10k_Test_000001/groundtruth.txt", box_lines(4))
    assert [defect.kind for defect in defects(tmp_path)] == ["test rows"]


def test_the_command_and_its_counts(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(tree / "train" / NAMES[2] / "absence.label", [0, 0, 1, 1, 0])
    assert main(["check", str(tree)]) == 0
    assert "train: 3 videos, 15 frames, 15 boxes; no defects" in capsys.readouterr().out
    zero_cover(tree / "train" / NAMES[0])
    assert main(["check", str(tree), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["counts"]["all covered"] == 1


def test_info_counts_what_is_not_to_be_seen(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tree / "cache"))
    write_lines(tree / "train" / NAMES[2] / "absence.label", [0, 0, 1, 1, 0])
    found = describe(tree)
    split = found["splits"]["train"]
    assert (split["format"], split["not_visible"], split["keys"]) == ("got10k", 2, 13)
    assert split["classes"] == {"bird": [15, 3]}
    assert "2 of these boxes are of targets that are not to be seen" in describe_text(found)


def test_real_videos_have_no_defects(shared: Path) -> None:
    audits = check_dataset(shared / "data/got10k", progress=False)
    assert [(audit.split, audit.defects) for audit in audits] == [("train", ()), ("val", ())]
