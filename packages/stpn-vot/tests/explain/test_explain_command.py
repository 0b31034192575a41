"""The page: what it shows, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_vot.cli import main as vot
from stpn_vot.weights import save_tracker

from ..networks import PROMPTED, TINY, tracker
from ..test_tracker import video


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain") / "walk"
    folder.mkdir()
    for t, frame in enumerate(video(7)):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{t:03d}.png")
    for name, config in (("stpn", PROMPTED), ("twin", TINY)):
        save_tracker(folder.parent / f"{name}.safetensors", tracker(config).state_dict(), config)
    return folder


def arguments(walk: Path, out: Path, weights: str = "stpn") -> list[str]:
    file = walk.parent / f"{weights}.safetensors"
    settings = ["--tracking.support-stride", "2", "--tracking.threshold", "0.1"]
    some = ["explain", str(walk), "--box", "30,20,14,12", "--weights", str(file)]
    return [*some, *settings, "--tracking.interval", "3", "--out", str(out)]


def test_a_page_with_all_its_sections(walk: Path, tmp_path: Path) -> None:
    assert main(["vot", *arguments(walk, tmp_path), "--frames", "2"]) == 0
    page = (tmp_path / "explain.html").read_text()
    assert "Looking inside: STPN on walk" in page
    assert "6 frames, mean score" in page
    assert "frame 2</h3>" in page
    assert "frame 5</h3>" in page
    assert "from frame 4 on" in page
    assert "stage 3, block 2" not in page, "it is in pictures only"
    # the plot, 4 templates, for both frames: frame, crop, look, mass; two plots of blocks
    assert len(re.findall("data:image/", page)) == 1 + 4 + 2 * 4 + 2
    assert "://" not in page, "it needs no other file"
    assert main(["vot", *arguments(walk, tmp_path / "again"), "--frames", "2"]) == 0
    assert (tmp_path / "again" / "explain.html").read_text() == page


def test_a_tracker_without_prompts_says_so(walk: Path, tmp_path: Path) -> None:
    assert vot([*arguments(walk, tmp_path, "twin"), "--pick", "3"]) == 0
    page = (tmp_path / "explain.html").read_text()
    assert "Looking inside: MixFormer on walk" in page
    assert "no prompts" in page
    assert "Without prompts: mean score" not in page


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        (["--pick", "7"], "frames 1 to 6 are tracked"),
        (["--frames", "0"], "frames"),
        (["--max-frames", "1"], "max_frames"),
        (["--tracking.slots", "0"], "slots"),
    ],
)
def test_impossible_questions_are_refused(
    walk: Path, tmp_path: Path, extra: list[str], word: str
) -> None:
    with pytest.raises(InputError, match=word):
        vot([*arguments(walk, tmp_path), *extra])
    assert not (tmp_path / "explain.html").exists()
