from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_data.video import VideoFrame
from stpn_data.video_write import write_video
from stpn_vod.detections import Detections
from stpn_vod.link_config import LinkConfig
from stpn_vod.predict import detect_video, predict
from stpn_vod.predict_config import PredictConfig
from stpn_vod.stream import FrameResult
from stpn_vod.tracks import track_frames

from ..test_stream import scene

CONFIG = PredictConfig(
    policy="online", count=2, stride=2, score=0.2, short_side=40, long_side=64, tracks=True
)


def results(images: Sequence[Tensor]) -> list[FrameResult]:
    """A strong, a weak and a stray box on every frame; frames share one buffer, as a camera's."""
    boxes = torch.tensor([[5.0, 5, 25, 25], [40, 5, 60, 25], [5, 30, 20, 44]])
    made = []
    for t, image in enumerate(images):
        scores = torch.tensor([0.9, 0.9 if t == 0 else 0.3, 0.3])
        found = Detections(boxes, scores, torch.zeros(3, dtype=torch.int64))
        made.append(FrameResult(VideoFrame(t, image, t / 25, str(t)), found, True))
    return made


def test_what_belongs_to_a_track_stays_with_its_number():
    given = results(scene(5, seed=1))
    tracked = list(track_frames(iter(given)))
    for old, new in zip(given, tracked, strict=True):
        assert new.ids is not None
        assert new.ids.tolist() == [1, 2]
        assert torch.equal(new.found.boxes, old.found.boxes[:2])
        assert (new.frame, new.has_prompt) == (old.frame, old.has_prompt)
        assert old.ids is None


def test_a_cut_in_the_pictures_starts_anew():
    shots = [*scene(3, seed=1), *(255 - image for image in scene(3, seed=8))]
    numbers = [r.ids.tolist() for r in track_frames(results(shots)) if r.ids is not None]
    assert numbers == [[1, 2]] * 3 + [[3]] * 3  # too weak to start again
    kept = track_frames(results(shots), LinkConfig(cuts=False))
    assert [r.ids.tolist() for r in kept if r.ids is not None] == [[1, 2]] * 6


def test_a_source_may_use_its_buffer_again():
    shots = [*scene(3, seed=1), *(255 - image for image in scene(3, seed=8))]
    buffer = torch.empty_like(shots[0])

    def camera():  # type: ignore[no-untyped-def]
        for result in results(shots):
            buffer.copy_(result.frame.image)
            yield replace(result, frame=replace(result.frame, image=buffer))

    assert [len(r.found) for r in track_frames(camera())] == [2] * 3 + [1] * 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, scene(10, seed=1), fps=10)
    return path


def test_the_command_writes_numbers_that_stay(trained, clip, tmp_path, capsys):
    flags = ["--short-side", "40", "--long-side", "64", "--policy", "online", "--count", "2"]
    command = ["vod", "predict", str(clip), "--weights", str(trained), *flags, "--score", "0.2"]
    for name, extra in (
        ("plain", []),
        ("tracks", ["--tracks"]),
        ("strict", ["--tracks", "--link.low", "1", "--link.iou", "1"]),
    ):
        assert main([*command, "--out", str(tmp_path / name), *extra]) == 0
        assert (tmp_path / name / "annotated.mp4").stat().st_size > 0
    rows = {
        name: [
            json.loads(line)["objects"]
            for line in (tmp_path / name / "detections.jsonl").read_text().splitlines()
        ]
        for name in ("plain", "tracks", "strict")
    }
    assert sum(map(len, rows["plain"])) > 20
    for plain, tracked in zip(rows["plain"], rows["tracks"], strict=True):
        strong = [{k: v for k, v in thing.items() if k != "id"} for thing in tracked]
        assert [thing for thing in strong if thing["score"] > 0.2] == plain
        assert len({thing["id"] for thing in tracked}) == len(tracked)
    seen = [{thing["id"] for thing in row} for row in rows["tracks"]]
    assert seen[0] & seen[-1]
    assert min(seen[0]) == 1
    every = [thing["id"] for row in rows["strict"] for thing in row]
    assert len(set(every)) == len(every)  # nothing overlaps so well: each box is a track


def test_the_python_interface_gives_the_same_numbers(detector, clip, tmp_path):
    predict(detector, clip, tmp_path, CONFIG)
    lines = [json.loads(line) for line in (tmp_path / "detections.jsonl").read_text().splitlines()]
    found = list(detect_video(detector, clip, CONFIG))
    assert [[thing["id"] for thing in line["objects"]] for line in lines] == [
        result.ids.tolist() for result in found if result.ids is not None
    ]


def test_what_cannot_work_is_said_before_the_first_frame(detector, clip, tmp_path, monkeypatch):
    bad = LinkConfig(low=2, iou=-1, low_iou=float("nan"), patience=-1)
    with pytest.raises(InputError) as caught:
        predict(detector, clip, tmp_path, replace(CONFIG, link=bad))
    said = str(caught.value)
    assert all(f"link.{name}: must be" in said for name in ("low", "iou", "low_iou", "patience"))
    monkeypatch.setitem(sys.modules, "lap", None)
    with pytest.raises(InputError, match="tracks need the package lap"):
        predict(detector, clip, tmp_path, CONFIG)
    assert list(tmp_path.iterdir()) == []
    assert predict(detector, clip, tmp_path, replace(CONFIG, tracks=False)).frames == 10
