"""The server's zip: what is in it, and everything that keeps it from being written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_vot.result_record import ResultRecord, write_record
from stpn_vot.submission import SEQUENCES, Expected, check_files, read_files, write_submission

FIRST = SEQUENCES[0]
BOX = "10.500,20.000,30.000,40.000"
EXPECTED = Expected(dict.fromkeys(SEQUENCES, 3), dict.fromkeys(SEQUENCES, (10.5, 20, 30, 40)))
Files = dict[str, str]


def results(repetitions: int = 1) -> Files:
    files = {}
    for name in SEQUENCES:
        for number in range(1, repetitions + 1):
            files[f"{name}/{name}_{number:03d}.txt"] = f"{BOX}\n" + "11.250,20.125,30,40\n" * 2
        seconds = ",".join(["0.01000000"] * repetitions)
        files[f"{name}/{name}_time.txt"] = f"{seconds}\n" * 3
    return files


def on_disk(folder: Path, files: Files) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def boxes(text: str) -> Callable[[Files], None]:
    return lambda files: files.update({f"{FIRST}/{FIRST}_001.txt": text})


def times(text: str) -> Callable[[Files], None]:
    return lambda files: files.update({f"{FIRST}/{FIRST}_time.txt": text})


def without(*names: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        for name in names:
            del files[name]

    return change


def extra(name: str, text: str = f"{BOX}\n" * 3) -> Callable[[Files], None]:
    return lambda files: files.update({name: text})


FAULTS: dict[str, tuple[Callable[[Files], None], str]] = {
    "a sequence is missing": (
        without(f"{FIRST}/{FIRST}_001.txt", f"{FIRST}/{FIRST}_time.txt"),
        "1 of 180 sequences are missing: GOT-10k_Test_000001",
    ),
    "no boxes": (without(f"{FIRST}/{FIRST}_001.txt"), "needs GOT-10k_Test_000001_001.txt"),
    "no times": (without(f"{FIRST}/{FIRST}_time.txt"), "_time.txt: seconds per frame"),
    "too few boxes": (boxes(f"{BOX}\n" * 2), "2 boxes for 3 frames"),
    "nan": (boxes(f"{BOX}\nnan,1,2,3\n{BOX}\n"), "line 2: not finite"),
    "infinite": (boxes(f"{BOX}\n{BOX}\n1,1,inf,3\n"), "line 3: not finite"),
    "no width": (boxes(f"{BOX}\n1,1,0,3\n{BOX}\n"), "line 2: width and height"),
    "negative": (boxes(f"{BOX}\n1,1,4,-3\n{BOX}\n"), "line 2: width and height"),
    "another start": (boxes(f"11.5,20,30,40\n{BOX}\n{BOX}\n"), "given box 10.5,20,30,40"),
    "words": (boxes(f"{BOX}\nx,y,w,h\n{BOX}\n"), "'x,y,w,h' is no row"),
    "columns": (boxes(f"{BOX}\n1,2,3\n{BOX}\n"), "3 numbers instead of 4"),
    "empty": (boxes(""), "holds no box"),
    "too few times": (times("0.01\n"), "1 rows for 3 boxes"),
    "time columns": (times("0.01,0.01\n" * 3), "2 numbers instead of 1"),
    "negative time": (times("-1\n" * 3), "not below 0"),
    "another split": (
        extra("GOT-10k_Val_000001/GOT-10k_Val_000001_001.txt"),
        "another split",
    ),
    "unknown folder": (extra("GOT-10k_Test_000181/a.txt"), "belongs to no test sequence"),
    "a file at the root": (extra(f"{FIRST}.txt"), "belongs to no test sequence"),
    "unknown file": (extra(f"{FIRST}/notes.txt"), "no file the server knows"),
    "repetitions of one alone": (
        lambda files: files.update(
            {
                f"{FIRST}/{FIRST}_002.txt": f"{BOX}\n" * 3,
                f"{FIRST}/{FIRST}_time.txt": "0.01,0.01\n" * 3,
            }
        ),
        "differ in their number of repetitions",
    ),
    "a gap": (extra(f"{FIRST}/{FIRST}_003.txt"), "_001.txt, then _002"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found_and_named(fault):
    files = results()
    assert check_files(files, EXPECTED).faults == ()
    change, message = FAULTS[fault]
    change(files)
    faults = check_files(files, EXPECTED).faults
    assert any(message in text for text in faults), faults


def test_three_repetitions_are_fine_and_four_are_not():
    assert check_files(results(3), EXPECTED).faults == ()
    assert any("takes 3" in text for text in check_files(results(4), EXPECTED).faults)


def test_whole_pixels_are_warned_of():
    assert check_files(results(), EXPECTED).warnings == ()
    whole = {n: "10,20,30,40\n" * 3 if "_001" in n else text for n, text in results().items()}
    checked = check_files(whole, EXPECTED)
    assert checked.faults == ()
    assert "whole pixels" in checked.warnings[0]


def test_a_pile_of_faults_is_cut_short():
    files = {n: "x\n" if "_001" in n else text for n, text in results().items()}
    faults = check_files(files, EXPECTED).faults
    assert len(faults) == 51
    assert faults[-1] == "130 further faults are not listed"


def test_the_zip_has_what_the_server_wants(tmp_path, capsys):
    files = results()
    files[f"{FIRST}/{FIRST}_001.txt"] = files[f"{FIRST}/{FIRST}_001.txt"].replace(",", "\t")
    folder = on_disk(tmp_path / "ours", files)
    write_record(folder, ResultRecord("got10k", "w", "0", "d"))
    out = tmp_path / "ours.zip"
    assert main(["vot", "submit", str(folder), "--out", str(out)]) == 0
    assert "protocol got10k" in capsys.readouterr().out
    with zipfile.ZipFile(out) as packed:
        names = packed.namelist()
        text = packed.read(f"{FIRST}/{FIRST}_001.txt").decode()
    assert len(names) == 360
    assert {name.split("/")[0] for name in names} == set(SEQUENCES)
    assert text == results()[f"{FIRST}/{FIRST}_001.txt"]
    assert main(["vot", "submit", str(out)]) == 0
    again = tmp_path / "again.zip"
    write_submission(again, read_files(folder))
    assert again.read_bytes() == out.read_bytes()


def test_nothing_is_written_after_a_fault(tmp_path, capsys):
    files = results()
    folder = on_disk(tmp_path / "ours", files)
    (folder / FIRST / f"{FIRST}_time.txt").unlink()
    out = tmp_path / "ours.zip"
    assert main(["vot", "submit", str(folder), "--out", str(out)]) == 2
    assert f"{FIRST}: needs {FIRST}_time.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]


def test_a_full_disk_leaves_the_old_zip(tmp_path, monkeypatch):
    out = tmp_path / "ours.zip"
    write_submission(out, results())
    before = out.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Exception, match="No space left"):
        write_submission(out, results(2))
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["ours.zip"]


def test_the_data_says_how_long_sequences_are(tmp_path, capsys):
    """A test split of one sequence: its length and box are held against those of the results."""
    from .moving_square import got10k_tree

    data = got10k_tree(tmp_path / "data", "test", (3,), labels=False)
    files = results()
    files[f"{FIRST}/{FIRST}_001.txt"] = "12.000,20.000,16.000,16.000\n" + f"{BOX}\n" * 2
    folder, out = on_disk(tmp_path / "ours", files), tmp_path / "ours.zip"
    command = ["vot", "submit", str(folder), "--out", str(out), "--data", str(data)]
    assert main(command) == 0
    (folder / FIRST / f"{FIRST}_001.txt").write_text(f"{BOX}\n" * 3)
    assert main(command) == 2
    assert "line 1 must be the given box 12,20,16,16" in capsys.readouterr().err


def test_the_protocol_is_told(tmp_path, capsys):
    folder, out = on_disk(tmp_path / "ours", results()), tmp_path / "ours.zip"
    command = ["vot", "submit", str(folder), "--out", str(out)]
    assert main([*command, "--protocol", "full"]) == 0
    assert "trained on more" in capsys.readouterr().err
    write_record(folder, ResultRecord("got10k", "w", "0", "d"))
    assert main([*command, "--protocol", "full"]) == 2
    record = json.loads((folder / "record.json").read_text())
    assert record["protocol"] == "got10k"


@pytest.mark.parametrize("case", ["no folder", "no zip", "not a zip", "packed and out"])
def test_paths_that_cannot_be_used(tmp_path, case, capsys):
    folder = on_disk(tmp_path / "ours", results())
    packed = tmp_path / "packed.zip"
    write_submission(packed, results())
    assert main(["vot", "submit", str(packed)]) == 0
    broken = tmp_path / "broken.zip"
    broken.write_bytes(packed.read_bytes()[:1000])
    flags, message = {
        "no folder": ([str(tmp_path / "absent"), "--out", str(tmp_path / "x.zip")], "neither"),
        "no zip": ([str(folder), "--out", str(tmp_path / "x.tar")], "name a .zip"),
        "not a zip": ([str(broken)], "cannot be read"),
        "packed and out": ([str(packed), "--out", str(tmp_path / "x.zip")], "without --out"),
    }[case]
    assert main(["vot", "submit", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_huge_file_is_not_read(tmp_path):
    folder = on_disk(tmp_path / "ours", results())
    with open(folder / FIRST / "huge.txt", "wb") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(InputError, match=r"huge\.txt has"):
        read_files(folder)
