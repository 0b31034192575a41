"""A folder appears whole or not at all."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stpn_data.errors import DataError, WorkerDied
from stpn_data.synthesize import Arguments, synthesize

SMALL = Arguments(videos=1, val_videos=0, frames=2, size=(64, 64))


def digest(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="not synthetic data" if overwrite else "--overwrite"):
            synthesize(tmp_path / "precious", SMALL, overwrite=overwrite)
    with pytest.raises(DataError, match="not a folder"):
        synthesize(tmp_path / "precious" / "thesis.txt", SMALL)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"
    assert leftovers(tmp_path) == ["precious"]


def test_overwrite_replaces_synthetic_data_and_an_empty_folder_is_free(tmp_path: Path) -> None:
    out = tmp_path / "set"
    out.mkdir()
    tiny = Arguments(videos=2, val_videos=0, frames=2, size=(64, 64))
    synthesize(out, tiny)
    before = digest(out)
    with pytest.raises(DataError, match="not empty"):
        synthesize(out, tiny)
    synthesize(out, Arguments(**{**vars(tiny), "videos": 1, "seed": 5}), overwrite=True)
    after = digest(out)
    assert "Data/VID/train/synthetic_train_00000001/000000.JPEG" in before.keys() - after.keys()
    assert leftovers(tmp_path) == ["set"]


def test_a_failure_half_way_leaves_nothing_and_the_old_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stpn_data.synthesize import command

    tiny = Arguments(videos=3, val_videos=0, frames=2, size=(64, 64))
    out = synthesize(tmp_path / "set", tiny)
    before = digest(out)
    seen = []

    def full_disk(root: Path, *_: object) -> None:
        seen.extend(root.rglob("*.JPEG"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_lists", full_disk)
    for place in (out, tmp_path / "new"):
        with pytest.raises(DataError, match=r"nothing was kept.*No space left"):
            synthesize(place, tiny, overwrite=True)
    assert len(seen) == 12, "the failure came before anything was written"
    assert leftovers(tmp_path) == ["set"]
    assert digest(out) == before


COMMAND = (
    "import signal, sys; from stpn_data.synthesize import main; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell may have it ignored
    "sys.exit(main([sys.argv[1], '--videos', '500', '--frames', '8', '--size', '64x64', "
    "'--workers', sys.argv[2]]))"
)


def started(out: Path, workers: int) -> subprocess.Popen[bytes]:
    """A process in the middle of writing many videos to `out`."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(out), str(workers)], stderr=subprocess.DEVNULL
    )
    stage = out.parent / f".{out.name}.partial" / "Data" / "VID" / "train"
    deadline = time.monotonic() + 60
    while not stage.is_dir() or len(list(stage.iterdir())) < 3:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline, "it never began to write"
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2)])
def test_stopped_by_a_signal_it_tidies_up(tmp_path: Path, number: int, code: int) -> None:
    process = started(tmp_path / "set", workers=2)
    process.send_signal(number)
    assert process.wait(30) == code
    assert leftovers(tmp_path) == []


def test_killed_it_leaves_no_data_set_and_the_next_run_sweeps(tmp_path: Path) -> None:
    out = tmp_path / "set"
    process = started(out, workers=1)
    with pytest.raises(DataError, match="another process is writing"):
        synthesize(out, SMALL)
    process.kill()
    process.wait(30)
    assert leftovers(tmp_path) == [".set.partial"]
    tiny = Arguments(videos=1, val_videos=0, frames=1, size=(64, 64))
    synthesize(out, tiny)
    assert leftovers(tmp_path) == ["set"]
    assert len(list(out.rglob("*.JPEG"))) == 1
    assert not list(out.glob(".*"))


def test_a_killed_worker_is_an_error(tmp_path: Path) -> None:
    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for child in multiprocessing.active_children():
                if list(tmp_path.rglob("*.JPEG")):
                    os.kill(child.pid or 0, signal.SIGKILL)
                    return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    many = Arguments(videos=500, val_videos=0, frames=8, size=(64, 64))
    with pytest.raises(WorkerDied, match="fewer --workers"):
        synthesize(tmp_path / "set", many, workers=2)
    killer.join()
    assert leftovers(tmp_path) == []
