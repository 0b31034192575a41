from __future__ import annotations

import json
from pathlib import Path

import pytest
from vid_tree import vid_tree

from stpn_data.cli import main
from stpn_data.info import describe


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_counts(tmp_path: Path) -> None:
    found = describe(vid_tree(tmp_path))["splits"]
    assert list(found) == ["train", "val"]
    train = found["train"]
    assert (train["videos"], train["frames"], train["boxes"], train["keys"]) == (2, 9, 9, 5)
    assert train["video_lengths"] == [4, 4, 5]
    assert train["sizes"] == {"64×48": 9}
    assert train["classes"]["dog"] == [9, 2]
    assert sum(boxes for boxes, _ in train["classes"].values()) == 9
    assert train["areas"] == {"small": 9, "medium": 0, "large": 0}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vid_tree(tmp_path)
    assert main(["info", str(tmp_path), "--split", "val"]) == 0
    text = capsys.readouterr().out
    assert "val (imagenet_vid): 1 videos, 6 frames (6 annotated, 0 missing), 6 key frames" in text
    assert "train (" not in text
    assert main(["info", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["tracks"] == 2


def test_real_data(shared: Path) -> None:
    found = describe(shared / "data/vid_own_classes")["splits"]["train"]
    assert found["classes"] == {"animal": [400, 4], "person": [283, found["tracks"] - 4]}
