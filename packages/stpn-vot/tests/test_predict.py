"""Boxes on a video: what is written, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import signal

import pytest
import torch
from PIL import Image

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_core.testing.children import Counter, ended, fork, until, wait
from stpn_data.errors import DataError
from stpn_data.video import VideoFrame, open_video
from stpn_vot import predict as module
from stpn_vot.draw import draw_targets, target_colour
from stpn_vot.model_file import TrainedTracker, load_trained
from stpn_vot.predict import predict, track_frames
from stpn_vot.predict_config import PredictConfig
from stpn_vot.tracker import TrackResult
from stpn_vot.tracking_config import TrackingConfig
from stpn_vot.weights import save_tracker

from .networks import PROMPTED, tracker
from .test_tracker import BOX, OTHER, video

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
SETTINGS = PredictConfig(TrackingConfig(support_stride=2, redetect=True))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_tracker(path, tracker().state_dict(), PROMPTED)
    return path


@pytest.fixture(scope="module")
def trained(weights):
    return load_trained(weights)


@pytest.fixture
def walk(tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for t, frame in enumerate(video(5)):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{t:03d}.png")
    return folder


def records(out):
    return [json.loads(line) for line in (out / "tracks.jsonl").read_text().splitlines()]


def test_lines_and_video_say_what_the_api_says(trained, walk, tmp_path):
    summary = predict(trained, walk, [BOX, OTHER], tmp_path / "out", SETTINGS)
    rows = records(tmp_path / "out")
    assert (summary.frames, summary.targets, len(rows)) == (5, 2, 5)
    with open_video(tmp_path / "out" / "annotated.mp4") as made:
        assert sum(1 for _ in made) == 5
    assert [one["box"] for one in rows[0]["targets"]] == [list(BOX), list(OTHER)]
    assert rows[0]["targets"][0]["score"] is None, "given, not found"
    with open_video(walk) as frames:
        results = list(track_frames(trained, frames, [BOX, OTHER], SETTINGS))
    for row, result in zip(rows, results, strict=True):
        assert row["size"] == [88, 72]
        for one, target in zip(row["targets"], result.targets, strict=True):
            assert one["box"] == pytest.approx(target.box, abs=1e-3)
            assert one["lost"] is target.lost


def test_a_frame_is_answered_before_the_next_is_there(trained):
    asked = []

    def camera():
        for index, image in enumerate(video(3)):
            asked.append(index)
            yield VideoFrame(index, image, index / 25, str(index))

    for result in track_frames(trained, camera(), [BOX], SETTINGS):
        assert asked[-1] == result.frame.index
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("name", ["video/asl_clip.mkv", "got10k/val/GOT-10k_Val_000001"])
def test_real_videos(shared, trained, tmp_path, name):
    config = dataclasses.replace(SETTINGS, max_frames=3)
    summary = predict(trained, shared / "data" / name, [(40, 30, 50, 60)], tmp_path, config)
    assert summary.frames == 3
    assert len(records(tmp_path)) == 3


@pytest.mark.parametrize("box", ["500,10,5,5", "1,1,0,5", "nan,1,5,5", "1,2,3", "a,b,c,d"])
def test_an_impossible_box_is_bad_input(weights, walk, tmp_path, capsys, box):
    flags = [f"--box={box}", "--weights", str(weights), "--out", str(tmp_path / "out")]
    assert main(["vot", "predict", str(walk), *flags]) == 2
    assert "box" in capsys.readouterr().err
    out = tmp_path / "out"
    assert not out.exists() or list(out.iterdir()) == []


def test_the_command_takes_several_boxes(weights, walk, tmp_path, capsys):
    flags = ["--box", "30,20,14,12", "--box=-2,30.25,16,20", "--weights", str(weights)]
    flags += ["--out", str(tmp_path / "out"), "--no-video", "--tracking.no-redetect"]
    assert main(["vot", "predict", str(walk), *flags]) == 0
    assert "5 frames" in capsys.readouterr().out
    assert [len(row["targets"]) for row in records(tmp_path / "out")] == [2] * 5
    assert not (tmp_path / "out" / "annotated.mp4").exists()


def test_what_is_wrong_is_named_and_nothing_remains(trained, walk, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(InputError, match="at least one box"):
        predict(trained, walk, [], out, SETTINGS)
    with pytest.raises(InputError, match="max_frames"):
        predict(trained, walk, [BOX], out, dataclasses.replace(SETTINGS, max_frames=-1))
    with pytest.raises(DataError):
        predict(trained, tmp_path / "absent.mp4", [BOX], out, SETTINGS)
    assert not out.exists() or list(out.iterdir()) == []


def test_crop_sizes_are_those_of_the_weights(trained):
    settings = trained.tracking()
    assert (settings.template_size, settings.search_size) == (48, 96)
    assert trained.tracking(TrackingConfig(search_size=64)).search_size == 64
    mixer = TrainedTracker(
        trained.model, dataclasses.replace(PROMPTED, predictor="mixer"), trained.source
    )
    with pytest.raises(InputError, match="mixer"):
        mixer.tracking(TrackingConfig(search_size=64))


def test_a_signal_leaves_whole_files_of_the_frames_answered(weights, walk, tmp_path):
    out = tmp_path / "out"
    for t in range(5, 600):
        (walk / f"{t:03d}.png").symlink_to(walk / f"{t % 5:03d}.png")
    count = Counter()

    def work() -> int:
        take = module.taken

        def counted(*args):
            for frame in take(*args):
                count.add()
                yield frame

        module.taken = counted
        flags = ["--box", "30,20,14,12", "--weights", str(weights), "--out", str(out)]
        return main(["vot", "predict", str(walk), *flags])

    pid = fork(work, tmp_path / "said.txt")
    reached = until(lambda: count.get() >= 8 or ended(pid))
    os.kill(pid, signal.SIGINT)
    assert wait(pid) == 130, (tmp_path / "said.txt").read_text()
    assert reached
    assert 8 <= count.get() < 600
    assert sorted(p.name for p in out.iterdir()) == ["annotated.mp4", "tracks.jsonl"]
    with open_video(out / "annotated.mp4") as made:
        assert sum(1 for _ in made) == len(records(out))


def test_drawing_outlines_the_box_and_leaves_the_rest():
    image = torch.full((3, 60, 80), 100, dtype=torch.uint8)
    found = TrackResult((20.0, 25.0, 30.0, 20.0), 0.9, False)
    drawn = draw_targets(image, [found])
    assert torch.equal(image, torch.full_like(image, 100))
    colour = torch.tensor(target_colour(1), dtype=torch.uint8)
    inner = drawn[:, 26, 35]  # the second row of the outline
    assert torch.equal(drawn[:, 44, 35], colour)
    assert torch.equal(inner, colour)
    assert torch.equal(drawn[:, 35, 35], image[:, 35, 35])
    lost = draw_targets(image, [dataclasses.replace(found, lost=True)])
    assert torch.equal(lost[:, 44, 35], colour)
    assert torch.equal(lost[:, 26, 35], image[:, 26, 35]), "thin"
    far = TrackResult((-500.0, 900.0, 3.0, 3.0), None, True)
    assert draw_targets(image, [far]).shape == image.shape
