from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stpn_data.errors import DataError, WorkerDied
from stpn_data.index import OCCLUDED, Video, VideoIndex, build_index, concat, require_present


def two_videos(root: Path, classes: tuple[str, ...] = ("cat", "dog")) -> VideoIndex:
    first = Video(
        name="train/a",
        folder=str(root / "Data/train/a"),
        files=["000000.JPEG", "000001.JPEG", "000002.JPEG"],
        sizes=np.full((3, 2), (64, 48), np.int32),
        box_counts=np.array([1, 0, 2]),
        boxes=np.arange(12, dtype=np.float32).reshape(3, 4),
        labels=np.array([0, 1, 0], np.int16),
        tracks=np.array([5, 6, 7], np.int32),
        flags=np.array([0, OCCLUDED, 0], np.uint8),
        keys=[2],
    )
    still = Video(
        name="train/x/n01",
        folder=str(root / "Data/train/x"),
        files=["n01.JPEG"],
        present=np.array([False]),
        keys=[0],
    )
    return build_index(root, classes, "toy", [first, still], notes=["one note"])


def test_columns_and_lookups(tmp_path: Path) -> None:
    index = two_videos(tmp_path)
    assert (index.num_videos, index.num_frames) == (2, 4)
    assert [index.video_of(i) for i in range(4)] == [0, 0, 0, 1]
    assert index.frames_of(0) == range(3)
    assert index.frames_of(1) == range(3, 4)
    assert index.frame_path(2) == tmp_path / "Data/train/a/000002.JPEG"
    assert index.frame_name(2) == "train/a/000002"
    assert index.frame_name(3) == "train/x/n01"
    assert index.boxes_of(1).boxes.shape == (0, 4)
    last = index.boxes_of(2)
    assert last.tracks.tolist() == [6, 7]
    assert last.flags.tolist() == [OCCLUDED, 0]
    assert index.keys.tolist() == [2, 3]
    assert index.tracks.dtype == np.int32
    with pytest.raises(IndexError):
        index.video_of(4)


def test_a_video_without_frames_is_skipped_over(tmp_path: Path) -> None:
    empty = Video("none", str(tmp_path), [])
    one = Video("one", str(tmp_path), ["0.png"])
    index = build_index(tmp_path, ("a",), "toy", [empty, one, empty])
    assert index.video_of(0) == 1
    assert len(build_index(tmp_path, ("a",), "toy", []).keys) == 0


def test_columns_of_unequal_length_are_refused(tmp_path: Path) -> None:
    bad = Video("v", str(tmp_path), ["0.png"], box_counts=np.array([2]), boxes=np.zeros((1, 4)))
    with pytest.raises(DataError, match="video v"):
        build_index(tmp_path, ("a",), "toy", [bad])


def test_concat_joins_roots_and_shifts_everything(tmp_path: Path) -> None:
    a, b = two_videos(tmp_path / "vid"), two_videos(tmp_path / "det")
    both = concat([a, b])
    assert both.num_frames == 8
    assert both.keys.tolist() == [2, 3, 6, 7]
    assert both.frame_path(6) == tmp_path / "det/Data/train/a/000002.JPEG"
    assert both.boxes_of(6).boxes.tolist() == a.boxes_of(2).boxes.tolist()
    assert both.notes == ("one note", "one note")
    with pytest.raises(DataError, match="classes differ"):
        concat([a, two_videos(tmp_path, classes=("dog", "cat"))])
    with pytest.raises(DataError, match="no data sets"):
        concat([])


def test_missing_frames_stop_an_evaluation(tmp_path: Path) -> None:
    index = two_videos(tmp_path)
    with pytest.raises(DataError, match=r"1 of 4 frames .*n01\.JPEG"):
        require_present(index)
    require_present(index, allow_missing=True)


def test_pickles_small_and_whole(tmp_path: Path) -> None:
    index = two_videos(tmp_path)
    again = pickle.loads(pickle.dumps(index))
    assert again.frame_path(2) == index.frame_path(2)
    n = 100_000
    files = [f"{i:06d}.JPEG" for i in range(n)]
    big = build_index(tmp_path, ("a",), "toy", [Video("v", str(tmp_path), files)])
    assert len(pickle.dumps(big)) < 40 * n  # a list of strings and tuples takes over 150 a frame


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, stpn_data, stpn_data.errors; "
        "print([m for m in ('torch', 'numpy', 'av', 'PIL') if m in sys.modules]); "
        "stpn_data.VideoIndex; print('numpy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["[]", "True"]


def test_every_public_name_resolves_and_is_typed() -> None:
    import ast

    import stpn_data

    tree = ast.parse(Path(stpn_data.__file__).read_text())
    typed = {
        f"{name.asname}": node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("stpn_data.")
        for name in node.names
    }
    assert typed == {n: f"stpn_data.{home}" for n, home in stpn_data._HOME.items()}
    for name in dir(stpn_data):
        getattr(stpn_data, name)
    with pytest.raises(AttributeError):
        _ = stpn_data.nothing


def test_errors_carry_exit_codes() -> None:
    assert (DataError.exit_code, WorkerDied.exit_code) == (2, 6)
