from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.io import write_png

from stpn_core.errors import InputError
from stpn_core.training import autocast
from stpn_data.readers import read_frames_folder
from stpn_data.sequence import EvalVideo
from stpn_data.support import OnlinePolicy, Policy, UniformPolicy, WindowPolicy, uniform
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame
from stpn_vod.detections import Detections
from stpn_vod.model_file import TrainedDetector
from stpn_vod.network_input import to_network
from stpn_vod.stream import (
    FrameResult,
    detect_frames,
    detect_step,
    finish_detection,
    start_detection,
)
from stpn_vod.video_inference import detect_sequence

SIZE = EvalResize(40, 64)
POLICIES = (UniformPolicy(5), WindowPolicy(2, 3), OnlinePolicy(3, 2), WindowPolicy(40, 50))


def scene(length: int, seed: int, size: tuple[int, int] = (45, 72)) -> list[Tensor]:
    """Frames of a smooth picture that drifts, uint8 (3, h, w)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 9, generator=generator) * 255
    wide = interpolate(coarse, size=(size[0], size[1] + 40), mode="bilinear")[0].byte()
    noise = torch.randint(0, 9, (length, 3, *size), generator=generator)
    return [
        (wide[:, :, t % 40 : t % 40 + size[1]] // 2 + noise[t]).byte() for t in range(length)
    ]  # fmt: skip


def video(images: Iterable[Tensor]) -> list[VideoFrame]:
    return [VideoFrame(t, image, t / 25, f"{t:06d}") for t, image in enumerate(images)]


def answers(
    detector: TrainedDetector, images: Sequence[Tensor], policy: Policy, cuts: bool = True
) -> list[FrameResult]:
    support: list[Tensor] = []
    if isinstance(policy, UniformPolicy):
        support = [images[t] for t in uniform(len(images), policy.count)]
    return list(
        detect_frames(
            detector.model, video(images), policy, resize=SIZE, cuts=cuts, support=support
        )
    )


def assert_close(a: Detections, b: Detections) -> None:
    """The same objects; rows of nearly equal scores may have changed places."""
    assert len(a) == len(b)
    torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=1e-5)
    rows = [torch.cat([x.boxes, 100.0 * x.labels[:, None]], 1) for x in (a, b)]
    if len(a):
        apart = (rows[0][:, None] - rows[1][None]).abs().amax(2)
        assert float(apart.amin(1).max()) < 1e-3


def bit_equal(a: Detections, b: Detections) -> bool:
    return all(torch.equal(getattr(a, f), getattr(b, f)) for f in ("boxes", "scores", "labels"))


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_frame_by_frame_is_the_same_as_a_data_set_in_batches(
    detector, tmp_path, policy, batch_size
):
    images = [scene(1, seed=t)[0] for t in range(13)]  # nothing in common: support matters
    for t, image in enumerate(images):
        write_png(image, str(tmp_path / f"{t:06d}.png"))
    stored = EvalVideo(read_frames_folder(tmp_path), 0, SIZE)
    streamed = answers(detector, images, policy, cuts=False)
    found = list(detect_sequence(detector.model, stored, policy, batch_size=batch_size))
    assert [r.frame.index for r in streamed] == [f.t for f, _ in found] == list(range(13))
    assert sum(len(detections) for _, detections in found) > 13
    for result, (_, detections) in zip(streamed, found, strict=True):
        assert_close(result.found, detections)


@pytest.mark.parametrize("policy", [OnlinePolicy(3, 2), WindowPolicy(2, 3)], ids=str)
def test_online_never_looks_ahead_and_window_does(detector, policy):
    images = scene(10, seed=2)
    later = [*images[:6], *(255 - image for image in images[6:])]
    a, b = (answers(detector, frames, policy, cuts=False) for frames in (images, later))
    same = [bit_equal(x.found, y.found) for x, y in zip(a, b, strict=True)]
    assert not any(same[6:])
    assert all(same[:6]) == isinstance(policy, OnlinePolicy)


def test_a_cut_ends_the_support(detector):
    first, second = scene(7, seed=3), [255 - image for image in scene(6, seed=4)]
    both = answers(detector, [*first, *second], OnlinePolicy(3, 2))
    alone = answers(detector, second, OnlinePolicy(3, 2))
    assert [r.has_prompt for r in both] == [False] + [True] * 6 + [False] + [True] * 5
    assert all(bit_equal(a.found, b.found) for a, b in zip(both[7:], alone, strict=True))
    through = answers(detector, [*first, *second], OnlinePolicy(3, 2), cuts=False)
    assert not bit_equal(through[7].found, alone[0].found)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("length", [1, 2])
def test_videos_shorter_than_the_support(detector, policy, length):
    results = answers(detector, scene(length, seed=5), policy)
    assert [r.frame.index for r in results] == list(range(length))
    if length == 1:
        assert results[0].has_prompt == isinstance(policy, UniformPolicy)


def test_frames_of_another_size_begin_a_new_shot_in_their_own_pixels(detector):
    small, large = scene(4, seed=6), scene(4, seed=6, size=(90, 144))
    results = answers(detector, [*small, *large], WindowPolicy(1, 2))
    assert [r.frame.index for r in results] == list(range(8))
    assert [tuple(r.frame.image.shape) for r in results[3:5]] == [(3, 45, 72), (3, 90, 144)]
    assert max(float(r.found.boxes.max()) for r in results[:4]) <= 72
    assert max(float(r.found.boxes.max()) for r in results[4:]) > 72
    alone = answers(detector, large, WindowPolicy(1, 2))
    assert all(bit_equal(a.found, b.found) for a, b in zip(results[4:], alone, strict=True))


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_the_twin_answers_at_once_and_as_a_plain_detector(twin_detector, policy):
    model, images = twin_detector.model, scene(3, seed=7)
    state = start_detection(model, policy, resize=SIZE)
    for frame in video(images):
        (result,), state = detect_step(model, state, frame)
        geometry = SIZE.geometry((45, 72))
        network = to_network(model, geometry.images(frame.image))[None]
        (plain,) = model(network, torch.tensor([geometry.size]))
        assert bit_equal(result.found, plain.rescale(geometry.scale, (45, 72)))
        assert not result.has_prompt
    assert finish_detection(model, state) == []


def test_what_a_stream_keeps_is_bounded(detector):
    policy = WindowPolicy(2, 3)
    state = start_detection(detector.model, policy, resize=EvalResize(32, 32))
    most, answered = 0, 0
    for frame in video(scene(80, seed=8, size=(32, 32))):
        results, state = detect_step(detector.model, state, frame)
        answered += len(results)
        kept = len(state.waiting), len(state.stream.waiting), len(state.stream.memory.indices)
        most = max(most, *kept)
    assert most <= policy.lookahead == 6
    assert answered == 80 - 6
    assert len(finish_detection(detector.model, state)) == 6


def test_the_caller_may_reuse_a_frame_buffer(detector):
    """As a camera driver does: one buffer, overwritten for each frame."""
    first, second = scene(5, seed=3), [255 - image for image in scene(5, seed=4)]
    images = [*first, *second]
    buffer = torch.zeros_like(images[0])

    def camera() -> Iterable[VideoFrame]:
        for t, image in enumerate(images):
            buffer.copy_(image)
            yield VideoFrame(t, buffer, t / 25, "")

    expected = answers(detector, images, WindowPolicy(2, 2))
    found = list(detect_frames(detector.model, camera(), WindowPolicy(2, 2), resize=SIZE))
    for a, b in zip(expected, found, strict=True):
        assert torch.equal(a.frame.image, b.frame.image)
        assert bit_equal(a.found, b.found)


def test_a_state_is_a_value(detector):
    frames = video(scene(5, seed=9))
    state = start_detection(detector.model, OnlinePolicy(2, 1), resize=SIZE)
    for frame in frames[:4]:
        _, state = detect_step(detector.model, state, frame)
    (once,), _ = detect_step(detector.model, state, frames[4])
    (again,), _ = detect_step(detector.model, state, frames[4])
    assert bit_equal(once.found, again.found)


def test_streams_in_threads_do_not_mix(detector):
    """Eight threads, one of which leaves its stream half-way."""
    videos = [scene(6, seed=20 + i) for i in range(8)]
    policy = WindowPolicy(1, 2)
    serial = [answers(detector, images, policy) for images in videos]
    found: list[list[FrameResult]] = [[] for _ in videos]

    def work(number: int) -> None:
        stream = detect_frames(detector.model, video(videos[number]), policy, resize=SIZE)
        for result in stream:
            found[number].append(result)
            if number == 3 and result.frame.index == 2:
                return

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(results) for results in found] == [6, 6, 6, 3, 6, 6, 6, 6]
    for a, b in zip(serial, found, strict=True):
        assert all(bit_equal(x.found, y.found) for x, y in zip(a, b, strict=False))


def test_precision_is_for_the_model_alone(detector):
    images = scene(4, seed=10)
    stream = detect_frames(
        detector.model, video(images), OnlinePolicy(2, 1), resize=SIZE, precision="bf16"
    )
    low = []
    for result in stream:
        assert not torch.is_autocast_enabled("cpu")  # in the code of the caller, between frames
        low.append(result)
    assert not torch.is_autocast_enabled("cpu")
    full = answers(detector, images, OnlinePolicy(2, 1))
    assert not any(bit_equal(a.found, b.found) for a, b in zip(low, full, strict=True))
    with autocast("bf16", "cpu"):  # without a precision the caller's own counts
        own = answers(detector, images, OnlinePolicy(2, 1))
    assert all(bit_equal(a.found, b.found) for a, b in zip(low, own, strict=True))


def test_a_model_in_training_mode_is_refused(detector):
    detector.model.train()
    try:
        with pytest.raises(InputError, match="training mode"):
            answers(detector, scene(2, seed=1), OnlinePolicy(2, 1))
    finally:
        detector.model.eval()
