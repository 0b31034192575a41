"""The page docs/own-data.md says what happens: its tree is built and its example is run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from vid_tree import write_image
from video_files import make_video

from stpn_data.cli import main
from stpn_data.datasets import open_dataset

PAGE = Path(__file__).resolve().parents[3] / "docs/own-data.md"


@pytest.fixture
def blocks() -> dict[str, str]:
    """Code blocks of the page by language."""
    if not PAGE.is_file():
        pytest.skip("the pages are not part of an installed package")
    return dict(re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL))


@pytest.fixture
def my_data(
    blocks: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "my_data"
    for split in ("train", "val"):
        (data / split).mkdir(parents=True)
    (data / "classes.txt").write_text("person\ncar\n")
    make_video(data / "train/park.mp4", 10, (160, 120))
    make_video(data / "val/market.mp4", 10, (160, 120))
    (data / "train/park.csv").write_text(blocks["csv"])
    (data / "val/market.csv").write_text(blocks["csv"])
    (data / "train/street.jsonl").write_text(blocks["json"])
    for i in range(2):
        write_image(data / f"train/street/{i:06d}.jpg", i, (160, 120))
    return blocks


def test_the_example_runs(my_data: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code = my_data["python"]
    assert len(code.strip().splitlines()) <= 11
    exec(compile(code, "own-data.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == [
        "('person', 'car') 2 12",
        "train/park/000000 car [12. 30. 80. 95.]",
        "train/park/000000 person [100.  40. 130.  90.]",
        "",
    ]


def test_the_tree_is_clean_and_read_as_described(my_data: dict[str, str]) -> None:
    assert main(["check", "my_data", "--decode"]) == 0
    index = open_dataset("my_data", "train")
    assert index.keys.tolist() == [0, 5, 10]
    assert index.annotated.nonzero()[0].tolist() == [0, 5, 9, 10, 11]
    assert open_dataset("my_data", "val").labels.tolist() == [1, 0, 1]
    lines = [json.loads(line) for line in my_data["json"].splitlines()]
    assert index.boxes_of(10).boxes.tolist() == lines[0]["boxes"]
