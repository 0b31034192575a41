from __future__ import annotations

import dataclasses
import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from stpn_core.cli import main
from stpn_core.errors import InputError, StpnError
from stpn_core.testing.children import Counter, ended, fork, until, wait
from stpn_data import video_reading
from stpn_data.errors import DataError
from stpn_data.video import open_video
from stpn_data.video_write import write_video
from stpn_vod import predict as module
from stpn_vod.predict import detect_video, predict
from stpn_vod.predict_config import PredictConfig

from .test_stream import scene

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

CONFIG = PredictConfig(
    policy="window", count=2, stride=2, score=0.1, short_side=40, long_side=64
)  # fmt: skip


def folder_of(images: Sequence[Tensor], folder: Path) -> Path:
    folder.mkdir(parents=True)
    for t, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"frame{t}.png")
    return folder


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]


def frames_in(path: Path) -> int:
    with open_video(path) as video:
        return sum(1 for _ in video)


def left_in(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir()) if out.exists() else []


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames, mp4."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, scene(12, seed=1), fps=10)
    return path


@pytest.mark.parametrize("policy", ["window", "online", "uniform"])
def test_a_video_file_gives_one_line_and_one_picture_per_frame(detector, clip, tmp_path, policy):
    config = dataclasses.replace(CONFIG, policy=policy)
    summary = predict(detector, clip, tmp_path, config)
    assert (summary.frames, summary.status, summary.problems) == (12, "complete", ())
    assert summary.exit_code == 0
    assert left_in(tmp_path) == ["annotated.mp4", "detections.jsonl"]
    assert frames_in(tmp_path / "annotated.mp4") == 12
    rows = records(tmp_path)
    assert [row["frame"] for row in rows] == list(range(12))
    assert [row["time"] for row in rows] == pytest.approx([t / 10 for t in range(12)])
    assert all(row["size"] == [72, 44] for row in rows)  # an odd row is cut off by H.264
    assert [row["prompted"] for row in rows[1:]] == [True] * 11
    objects = [thing for row in rows for thing in row["objects"]]
    assert objects
    assert {thing["label"] for thing in objects} <= set(detector.classes)
    assert all(thing["score"] > 0.1 for thing in objects)
    assert all(0 <= x <= 72 for thing in objects for x in thing["box"])


def test_the_five_line_interface_gives_the_same(detector, clip, tmp_path):
    predict(detector, clip, tmp_path, CONFIG)
    results = list(detect_video(detector, clip, CONFIG))
    rows = [module.as_record(result, detector.classes) for result in results]
    assert json.loads(json.dumps(rows)) == records(tmp_path)


def test_folder_and_pattern_in_natural_order(detector, tmp_path):
    folder = folder_of(scene(11, seed=2), tmp_path / "walk")
    predict(detector, folder, tmp_path / "a", CONFIG)
    predict(detector, f"{folder}/*.png", tmp_path / "b", CONFIG)
    assert [row["name"] for row in records(tmp_path / "a")] == [f"frame{t}" for t in range(11)]
    assert records(tmp_path / "a") == records(tmp_path / "b")


def test_frames_of_several_sizes_keep_their_own_pixels(detector, tmp_path):
    images = [*scene(3, seed=2), *scene(3, seed=2, size=(96, 60))]
    for policy in ("window", "uniform"):
        out = tmp_path / policy
        config = dataclasses.replace(CONFIG, policy=policy, score=0.0)
        predict(detector, folder_of(images, tmp_path / f"in_{policy}"), out, config)
        assert [row["size"] for row in records(out)] == [[72, 45]] * 3 + [[60, 96]] * 3
        assert frames_in(out / "annotated.mp4") == 6
        tall = [thing["box"][3] for row in records(out)[3:] for thing in row["objects"]]
        assert 45 < max(tall) <= 96


def test_time_stamps_of_a_variable_rate_are_kept(detector, tmp_path):
    stamps = [0, 40, 80, 400, 410, 1000]  # milliseconds
    with av.open(str(tmp_path / "vfr.mkv"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 72, 44, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp, image in zip(stamps, scene(6, seed=3), strict=True):
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[:44])
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    predict(detector, tmp_path / "vfr.mkv", tmp_path / "out", CONFIG)
    assert [row["time"] for row in records(tmp_path / "out")] == [s / 1000 for s in stamps]


def test_only_the_first_frames_and_no_video(detector, clip, tmp_path):
    for policy in ("window", "uniform"):
        config = dataclasses.replace(CONFIG, policy=policy, max_frames=5, video=False)
        assert predict(detector, clip, tmp_path / policy, config).frames == 5
        assert left_in(tmp_path / policy) == ["detections.jsonl"]
    with open_video(clip) as video:
        first = folder_of([frame.image for frame in video][:5], tmp_path / "first")
    predict(detector, first, tmp_path / "cut", dataclasses.replace(config, max_frames=0))
    ours, whole = records(tmp_path / "uniform"), records(tmp_path / "cut")
    assert [row["objects"] for row in ours] == [row["objects"] for row in whole]


def test_a_cut_file_gives_what_can_be_decoded_and_says_so(trained, tmp_path, capsys):
    write_video(tmp_path / "whole.mkv", scene(60, seed=4), fps=25)
    data = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    flags = ["--weights", str(trained), "--short-side", "32", "--policy", "online", "--count", "1"]
    code = main(["vod", "predict", str(tmp_path / "cut.mkv"), "--out", str(tmp_path / "o"), *flags])
    said = capsys.readouterr()
    assert code == 0
    assert "video truncated" in said.out
    assert "warning: the file ends before its own lengths say" in said.err
    assert 0 < len(records(tmp_path / "o")) < 60
    assert frames_in(tmp_path / "o" / "annotated.mp4") == len(records(tmp_path / "o"))


def test_the_twin_predicts(twin_detector, clip, tmp_path):
    for policy in ("window", "uniform", "online"):
        config = dataclasses.replace(CONFIG, policy=policy)
        assert predict(twin_detector, clip, tmp_path / policy, config).frames == 12
        assert not any(row["prompted"] for row in records(tmp_path / policy))


@pytest.fixture
def unreadable(tmp_path: Path) -> dict[str, Path]:
    for name, content in {"empty.mp4": b"", "page.mp4": b"<html>" * 99, "a.txt": b"x"}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "none").mkdir()
    (tmp_path / "zero").mkdir()
    return {
        "missing": tmp_path / "missing.mp4",
        "empty": tmp_path / "empty.mp4",
        "page": tmp_path / "page.mp4",
        "text": tmp_path / "a.txt",
        "folder": tmp_path / "none",
        "pattern": tmp_path / "none" / "*.jpg",
    }


@pytest.mark.parametrize("which", ["missing", "empty", "page", "text", "folder", "pattern"])
def test_what_cannot_be_read_is_refused_with_2_and_leaves_nothing(
    trained, unreadable, tmp_path, which, capsys
):
    out = tmp_path / "out"
    path = str(unreadable[which])
    assert main(["vod", "predict", path, "--weights", str(trained), "--out", str(out)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: ")
    assert not out.exists()


def test_a_damaged_frame_ends_it_and_keeps_earlier_results(detector, tmp_path):
    folder, out = folder_of(scene(8, seed=5), tmp_path / "walk"), tmp_path / "out"
    predict(detector, folder, out, CONFIG)
    before = (out / "detections.jsonl").read_bytes(), (out / "annotated.mp4").read_bytes()
    (folder / "frame6.png").write_bytes((folder / "frame6.png").read_bytes()[:300])
    with pytest.raises(DataError, match=r"frame6\.png"):
        predict(detector, folder, out, CONFIG)
    assert left_in(out) == ["annotated.mp4", "detections.jsonl"]
    assert ((out / "detections.jsonl").read_bytes(), (out / "annotated.mp4").read_bytes()) == before


def test_where_nothing_can_be_written_is_an_error(detector, clip, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"):
        predict(detector, clip, tmp_path / "file", CONFIG)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((StpnError, DataError), match="No space left"):
        predict(detector, clip, tmp_path / "out", CONFIG)
    assert left_in(tmp_path / "out") == []


def test_settings_that_cannot_work_are_named(detector, clip, tmp_path):
    bad = PredictConfig(count=0, stride=-1, score=2, max_frames=-1)
    with pytest.raises(InputError) as caught:
        predict(detector, clip, tmp_path / "out", bad)
    assert all(f"{name}: must be" in str(caught.value) for name in ("count", "stride", "score"))
    assert not (tmp_path / "out").exists()


def test_in_a_thread_where_no_signal_arrives(detector, clip, tmp_path):
    done: list[int] = []
    work = threading.Thread(
        target=lambda: done.append(predict(detector, clip, tmp_path, CONFIG).frames)
    )
    work.start()
    work.join()
    assert done == [12]


def interrupt(
    source: Path, out: Path, trained: Path, policy: str, number: signal.Signals, after: int
) -> tuple[int, int]:
    """Exit code of `stpn vod predict` that gets a signal when it has taken `after` frames, and the
    number of frames it took."""
    taken = Counter()
    flags = ["--weights", str(trained), "--short-side", "32", "--count", "4", "--stride", "2"]

    def work() -> int:
        take = module.taken

        def counted(*args: Any) -> Any:
            for frame in take(*args):
                taken.add()
                yield frame

        module.taken = video_reading.taken = counted
        command = ["vod", "predict", str(source), "--out", str(out), "--policy", policy]
        return main([*command, *flags])

    pid = fork(work, out.with_suffix(".txt"))
    reached = until(lambda: taken.get() >= after or ended(pid))
    os.kill(pid, number)
    code = wait(pid)
    assert reached, out.with_suffix(".txt").read_text()
    return code, taken.get()


@pytest.mark.parametrize(
    ("number", "policy"), [(signal.SIGINT, "window"), (signal.SIGTERM, "online")]
)
def test_a_signal_leaves_whole_files_of_the_frames_answered(trained, tmp_path, number, policy):
    folder, out = folder_of(scene(6, seed=6), tmp_path / "walk"), tmp_path / "out"
    for t in range(6, 600):
        (folder / f"frame{t}.png").symlink_to(folder / f"frame{t % 6}.png")
    code, taken = interrupt(folder, out, trained, policy, number, after=12)
    assert code == 128 + number, out.with_suffix(".txt").read_text()
    assert 12 <= taken < 600
    assert left_in(out) == ["annotated.mp4", "detections.jsonl"]
    rows = records(out)
    assert [row["frame"] for row in rows] == list(range(len(rows)))
    ahead = 4 if policy == "window" else 0  # frames that waited for later ones are not answered
    assert taken - ahead - 1 <= len(rows) <= taken - ahead
    assert frames_in(out / "annotated.mp4") == len(rows)
    assert f"{len(rows)} frames (stopped early)" in out.with_suffix(".txt").read_text()


def test_a_signal_before_the_first_answer_leaves_nothing(trained, tmp_path):
    """While it counts the frames of a long video for `uniform`."""
    folder, out = folder_of(scene(6, seed=6), tmp_path / "walk"), tmp_path / "out"
    for t in range(6, 3000):
        (folder / f"frame{t}.png").symlink_to(folder / f"frame{t % 6}.png")
    code, taken = interrupt(folder, out, trained, "uniform", signal.SIGINT, after=5)
    assert code == 130
    assert taken < 3000
    assert left_in(out) == []


REAL: dict[str, Callable[[Path], Path]] = {
    name: (lambda data, name=name: data / "video" / name)
    for name in (
        "asl_clip.mkv", "intel_bottle-detection.mp4", "mma_test.avi", "mmtracking_demo.mp4",
        "sam2_01_dog.mp4", "sam2_05_default_juggle.mp4",
    )
} | {"frames": lambda data: data / "frames" / "ILSVRC2015_val_00007010"}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_videos(shared, detector, tmp_path, name):
    source = REAL[name](shared / "data")
    config = dataclasses.replace(CONFIG, short_side=48, long_side=96, max_frames=6)
    summary = predict(detector, source, tmp_path, config)
    assert summary.frames == 6
    rows = records(tmp_path)
    with open_video(source) as video:
        for row, frame in zip(rows, video, strict=False):
            assert row["size"] == [frame.image.shape[2], frame.image.shape[1]]
            assert row["time"] == pytest.approx(frame.time, abs=1e-6)
            assert (row["name"], row["frame"]) == (frame.name, frame.index)
    assert frames_in(tmp_path / "annotated.mp4") == 6


def test_every_real_file_is_tried(shared):
    data = shared / "data"
    assert {REAL[name](data) for name in REAL} == {
        *(data / "video").iterdir(), *(data / "frames").iterdir()
    }  # fmt: skip
