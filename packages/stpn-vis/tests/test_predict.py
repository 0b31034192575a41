"""Files of `stpn vis predict`."""

from __future__ import annotations

import dataclasses
import json
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_core.testing.children import Counter, ended, fork, until, wait
from stpn_data import video_reading
from stpn_data.errors import DataError
from stpn_data.video import open_video
from stpn_vis import predict as module
from stpn_vis import rle
from stpn_vis.draw import draw_instances, instance_colour
from stpn_vis.instances import Instances
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.predict import predict, segment_file
from stpn_vis.predict_config import PredictConfig
from stpn_vis.video_ap import read_results
from stpn_vis.weights import save_segmenter

from .test_inference import pictures
from .tiny import CONFIG, segmenter

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
CLASSES = ("ant", "bee", "cat", "dog")
SETTINGS = PredictConfig(short_side=32, long_side=64, score=0.0, most=4, count=4, stride=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    return TrainedSegmenter(segmenter(), CONFIG, CLASSES, path)


@pytest.fixture
def walk(tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for t, frame in enumerate(pictures(6)):
        Image.fromarray(frame).save(folder / f"{t:03d}.png")
    return folder


def records(out):
    return [json.loads(line) for line in (out / "instances.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("policy", ["uniform", "window", "online"])
def test_lines_results_and_video_say_the_same(trained, walk, tmp_path, policy):
    config = dataclasses.replace(SETTINGS, policy=policy)
    summary = predict(trained, walk, tmp_path / "out", config)
    rows = records(tmp_path / "out")
    assert summary.frames == len(rows) == 6
    with open_video(tmp_path / "out" / "annotated.mp4") as video:
        assert sum(1 for _ in video) == 6
    tracks = read_results(tmp_path / "out" / "results.json")
    assert len(tracks) == summary.objects > 0
    by_id = {}
    for t, row in enumerate(rows):
        assert row["size"] == [52, 36]
        for one in row["objects"]:
            mask = rle.as_rle(one["mask"], 0, 0, "")
            ys, xs = np.nonzero(rle.decode(mask))
            assert one["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            by_id.setdefault(one["id"], {})[t] = mask
    expected = [tuple(masks.get(t) for t in range(6)) for masks in by_id.values()]
    assert [tuple(track.masks) for track in tracks] == expected
    assert {one["label"] for row in rows for one in row["objects"]} <= set(CLASSES)


def test_the_python_api_gives_the_same_objects(trained, walk, tmp_path):
    predict(trained, walk, tmp_path, dataclasses.replace(SETTINGS, video=False))
    assert not (tmp_path / "annotated.mp4").exists()
    for row, result in zip(records(tmp_path), segment_file(trained, walk, SETTINGS), strict=True):
        assert [one["id"] for one in row["objects"]] == result.found.ids.tolist()


@pytest.mark.parametrize("name", ["asl_clip.mkv", "mmtracking_demo.mp4", "mma_test.avi"])
def test_real_videos(shared, trained, tmp_path, name):
    source = shared / "data" / "video" / name
    summary = predict(trained, source, tmp_path, dataclasses.replace(SETTINGS, max_frames=3))
    assert summary.frames == 3


def test_what_is_wrong_is_named_and_nothing_remains(trained, walk, tmp_path):
    out = tmp_path / "out"
    for config, word in (
        (dataclasses.replace(SETTINGS, score=2.0), "score"),
        (dataclasses.replace(SETTINGS, most=0), "most"),
    ):
        with pytest.raises(InputError, match=word):
            predict(trained, walk, out, config)
    with pytest.raises(DataError):
        predict(trained, tmp_path / "absent.mp4", out, SETTINGS)
    (walk / "000.png").write_bytes(b"none")
    for t in range(1, 6):
        (walk / f"{t:03d}.png").unlink()
    with pytest.raises((InputError, DataError)):
        predict(trained, walk, out, SETTINGS)
    assert not out.exists() or list(out.iterdir()) == []


def test_a_signal_leaves_whole_files_of_the_frames_answered(walk, tmp_path):
    weights, out = tmp_path / "tiny.safetensors", tmp_path / "out"
    save_segmenter(weights, segmenter().state_dict(), CONFIG, CLASSES)
    for t in range(6, 600):
        (walk / f"{t:03d}.png").symlink_to(walk / f"{t % 6:03d}.png")
    count = Counter()

    def work() -> int:
        take = video_reading.taken

        def counted(*args):
            for frame in take(*args):
                count.add()
                yield frame

        module.taken = counted
        flags = ["--weights", str(weights), "--out", str(out), "--short-side", "32"]
        return main(["vis", "predict", str(walk), *flags, "--policy", "online", "--score", "0"])

    pid = fork(work, tmp_path / "said.txt")
    reached = until(lambda: count.get() >= 8 or ended(pid))
    os.kill(pid, signal.SIGINT)
    assert wait(pid) == 130, (tmp_path / "said.txt").read_text()
    assert reached
    assert 8 <= count.get() < 600
    assert sorted(p.name for p in out.iterdir()) == [
        "annotated.mp4", "instances.jsonl", "results.json",
    ]  # fmt: skip
    rows = records(out)
    tracks = read_results(out / "results.json")
    assert all(len(track.masks) == len(rows) for track in tracks)


def test_the_command_needs_weights_of_a_segmenter(walk, tmp_path, capsys):
    flags = ["--weights", str(tmp_path / "absent"), "--out", str(tmp_path / "out")]
    assert main(["vis", "predict", str(walk), *flags]) == 2
    assert "absent" in capsys.readouterr().err


def test_drawing_colours_the_mask_and_leaves_the_rest():
    image = torch.full((3, 40, 60), 100, dtype=torch.uint8)
    mask = torch.zeros(1, 40, 60, dtype=torch.bool)
    mask[0, 20:36, 20:50] = True
    found = Instances(torch.tensor([3]), torch.tensor([1]), torch.tensor([0.9]), mask)
    drawn = draw_instances(image, found, CLASSES)
    assert torch.equal(image, torch.full_like(image, 100))
    colour = torch.tensor(instance_colour(3))
    assert torch.equal(drawn[:, 20, 40], colour.to(torch.uint8))  # the outline
    assert not torch.equal(drawn[:, 30, 40], image[:, 30, 40])
    assert torch.equal(drawn[:, 38, 55], image[:, 38, 55])
    assert instance_colour(3) != instance_colour(4)
    nothing = Instances(
        *(torch.zeros(0) for _ in range(3)), torch.zeros(0, 40, 60, dtype=torch.bool)
    )
    assert torch.equal(draw_instances(image, nothing, CLASSES), image)
    assert found.boxes().tolist() == [[20, 20, 50, 36]]
