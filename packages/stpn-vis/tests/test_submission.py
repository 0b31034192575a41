"""What a server would refuse is found before anybody uploads it."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_data.readers import open_dataset
from stpn_vis.rle import encode
from stpn_vis.submission import check_submission, expected_of, silent_videos, write_submission
from stpn_vis.video_ap import Track, read_results
from stpn_vis.weights import save_segmenter

from .tiny import CONFIG, segmenter


@pytest.fixture
def expected(painted):
    return expected_of(open_dataset(painted, "valid", format="youtube_vis"))


def tracks(expected) -> list[Track]:
    rows = []
    for video, (length, size) in expected.videos.items():
        mask = encode(np.eye(*size, dtype=np.uint8))
        rows.append(Track(video, 1, (mask,) * (length - 1) + (None,), 0.0, score=0.5))
    return rows


def test_what_is_written_fits_and_is_read_back(expected, tmp_path):
    path = tmp_path / "results.zip"
    assert write_submission(path, tracks(expected)) == 2
    assert check_submission(path, expected) == []
    assert silent_videos(path, expected) == 0
    with zipfile.ZipFile(path) as packed:
        back = read_results(json.loads(packed.read("results.json")))
    assert [(t.video, t.score, t.masks) for t in back] == [
        (t.video, t.score, t.masks) for t in tracks(expected)
    ]
    write_submission(path, [])
    assert check_submission(path, expected) == []
    assert silent_videos(path, expected) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["results.zip"]


FAULTS = {
    "score": (lambda row: row | {"score": float("nan")}, "score"),
    "score text": (lambda row: row | {"score": "high"}, "score"),
    "video": (lambda row: row | {"video_id": 99}, "video_id 99"),
    "category": (lambda row: row | {"category_id": 0}, "category_id 0"),
    "length": (lambda row: row | {"segmentations": [None]}, "1 for a video of 4 frames"),
    "size": (
        lambda row: row | {"segmentations": [{"size": [2, 2], "counts": "04"}] * 4},
        r"size \[2, 2\]",
    ),
    "counts": (
        lambda row: row | {"segmentations": [{"size": [48, 64], "counts": "1"}] * 4},
        "counts add up",
    ),
    "uncompressed": (
        lambda row: row | {"segmentations": [{"size": [48, 64], "counts": [3072]}] * 4},
        "compressed RLE",
    ),
    "missing": (lambda row: {k: v for k, v in row.items() if k != "score"}, "lacks score"),
    "no object": (lambda row: 3, "must be an object"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_named(expected, tmp_path, name):
    path = tmp_path / "results.zip"
    write_submission(path, tracks(expected))
    with zipfile.ZipFile(path) as packed:
        rows = json.loads(packed.read("results.json"))
    spoil, message = FAULTS[name]
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("results.json", json.dumps([spoil(rows[0]), *rows[1:]]))
    with pytest.raises(AssertionError, match=message):
        assert check_submission(path, expected) == []
    assert len(check_submission(path, expected)) == 1


def test_a_zip_with_a_folder_or_no_zip_at_all(expected, tmp_path):
    write_submission(tmp_path / "good.zip", tracks(expected))
    with zipfile.ZipFile(tmp_path / "good.zip") as packed:
        text = packed.read("results.json")
    with zipfile.ZipFile(tmp_path / "folder.zip", "w") as packed:
        packed.writestr("mine/results.json", text)
    assert "at its root" in check_submission(tmp_path / "folder.zip", expected)[0]
    (tmp_path / "results.json").write_bytes(text)
    assert "servers take a zip" in check_submission(tmp_path / "results.json", expected)[0]
    (tmp_path / "bad.zip").write_bytes(text)
    with pytest.raises(InputError, match=r"bad\.zip"):
        check_submission(tmp_path / "bad.zip", expected)
    with pytest.raises(InputError, match="name the file"):
        write_submission(tmp_path / "results.tar", [])


def test_nothing_half_written_remains(expected, tmp_path):
    def broken():
        yield tracks(expected)[0]
        raise RuntimeError("the model fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        write_submission(tmp_path / "results.zip", broken())
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_checks_and_refuses(painted, tmp_path, capsys):
    weights = tmp_path / "tiny.safetensors"
    model = segmenter(num_classes=2)
    config = CONFIG.__class__(**{**vars(CONFIG), "num_classes": 2})
    save_segmenter(weights, model.state_dict(), config, ("disc", "square"))
    common = ["--data", str(painted), "--split", "valid"]
    out = tmp_path / "results.zip"
    flags = ["--out", str(out), "--short-side", "32", "--count", "2", "--top", "3"]
    assert main(["vis", "submit", str(weights), *common, *flags]) == 0
    assert "6 results for 2 videos" in capsys.readouterr().out
    assert main(["vis", "submit", "--check", str(out), *common]) == 0
    assert "fits" in capsys.readouterr().out
    assert (
        main(["vis", "submit", "--check", str(out), "--data", str(painted), "--split", "train"])
        == 2
    )
    assert "refused" in capsys.readouterr().err
    assert main(["vis", "submit", *common]) == 2
