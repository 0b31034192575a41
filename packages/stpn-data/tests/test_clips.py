from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stpn_data.batch import Clip
from stpn_data.clips import ClipDataset, usable_keys
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.transforms import EvalResize, TrainTransform

MakeIndex = Callable[..., VideoIndex]
PLAIN = EvalResize(80, 120)  # the size of the frames: nothing changes


def background(image: Tensor) -> int:
    """Which video a plain frame is from."""
    return int(image[0, -1, -1]) // 10


def place(image: Tensor) -> int:
    """Which frame of its video a plain frame is."""
    return (int((image[0] == 255).nonzero()[:, 1].min()) - 10) // 3


def same(a: Clip, b: Clip) -> bool:
    return all(
        torch.equal(value, getattr(b, name))
        if isinstance(value, Tensor)
        else value == getattr(b, name)
        for name, value in vars(a).items()
    )


def test_a_clip_holds_what_the_index_says(make_index: MakeIndex) -> None:
    data = ClipDataset(make_index((12, 5)), PLAIN, seed=3)
    assert len(data) == 17
    for position in range(17):
        clip = data[0, position]
        t = position if position < 12 else position - 12
        assert place(clip.frame) == t
        assert clip.boxes.tolist() == [[10 + 3 * t, 8 + t, 40 + 3 * t, 30 + t]]
        assert clip.labels.tolist() == clip.support_labels.tolist() == [int(position >= 12)]
        assert clip.tracks.tolist() == [7 + int(position >= 12)]
        assert clip.name == data.name(position) == f"v{int(position >= 12)}/{t:06d}"
        assert clip.index == position
        assert (clip.original_size, clip.scale) == ((80, 120), (1.0, 1.0))
        assert clip.valid.tolist() == [True, True]
        assert clip.support.shape == (2, 3, 80, 120)
        last = 11 if position < 12 else 4
        before, after = map(place, clip.support)
        if t == 0:
            assert before == after > t
        elif t == last:
            assert before == after < t
        else:
            assert t - 9 <= before < t < after <= t + 9
        assert [background(image) for image in clip.support] == [int(position >= 12)] * 2


def test_everything_random_follows_from_seed_epoch_and_position(make_index: MakeIndex) -> None:
    index = make_index((12,))
    transform = TrainTransform((60, 70, 80), 120, crop_short_sides=(70,), crop_range=(50, 70))
    data = ClipDataset(index, transform, seed=3)
    first = [data[epoch, i] for epoch in (0, 1) for i in range(12)]
    torch.manual_seed(1)
    copy: ClipDataset = pickle.loads(pickle.dumps(data))
    again = [copy[epoch, i] for epoch in (1, 0) for i in range(11, -1, -1)][::-1]
    assert all(map(same, first, again[:12] + again[12:]))
    other = ClipDataset(index, transform, seed=4)
    assert not all(same(first[i], other[0, i]) for i in range(12))
    assert not all(same(first[i], first[12 + i]) for i in range(12))


def test_key_and_support_share_the_geometry(make_index: MakeIndex) -> None:
    index = make_index((3,))
    for t in (1, 2):  # the same picture in every frame
        index.frame_path(t).write_bytes(index.frame_path(0).read_bytes())
    shared = TrainTransform((70,), 200, 1.0, (80,), (40, 70))
    for position in range(3):
        clip = ClipDataset(index, shared)[0, position]
        assert torch.equal(clip.support[0], clip.frame)
        assert torch.equal(clip.support[1], clip.frame)
    apart = ClipDataset(index, replace(shared, independent_crop=True))
    assert not all(torch.equal(apart[0, i].support[0], apart[0, i].frame) for i in range(3))


def test_labels_and_tracks_go_with_the_boxes_that_stay(make_index: MakeIndex) -> None:
    index = make_index((1,))
    left, right = [4, 4, 24, 24], [96, 56, 116, 76]  # no crop below holds both
    index = replace(
        index,
        boxes=np.array([left, right], np.float32),
        box_start=np.array([0, 2]),
        labels=np.array([3, 5], np.int16),
        tracks=np.array([30, 50], np.int32),
        flags=np.zeros(2, np.uint8),
    )
    data = ClipDataset(index, TrainTransform((40,), 200, 1.0, (80,), (40, 50)))
    stayed = set()
    for epoch in range(60):
        clip = data[epoch, 0]
        assert len(clip.boxes) == len(clip.labels) == len(clip.tracks) < 2
        assert clip.tracks.tolist() == (10 * clip.labels).tolist()
        assert clip.support_labels.tolist() == clip.labels.tolist()
        stayed.add(tuple(clip.labels.tolist()))
    assert stayed == {(), (3,), (5,)}


def test_a_still_image_supports_itself(make_index: MakeIndex) -> None:
    clip = ClipDataset(make_index((1,)), PLAIN, count=4)[0, 0]
    assert clip.valid.all()
    assert all(torch.equal(image, clip.frame) for image in clip.support)


def test_no_support_asked_for(make_index: MakeIndex) -> None:
    clip = ClipDataset(make_index((4,)), PLAIN, count=0)[0, 2]
    assert place(clip.frame) == 2
    assert clip.support.shape == (0, 3, 80, 120)
    assert len(clip.valid) == len(clip.support_labels) == 0


def test_support_dropout_and_swap(make_index: MakeIndex) -> None:
    data = ClipDataset(make_index((6, 6, 6)), PLAIN, support_dropout=0.3, support_swap=0.3)
    dropped = swapped = 0
    for epoch in range(8):
        for position in range(18):
            clip = data[epoch, position]
            video = position // 6
            if not clip.valid.any():
                dropped += 1
                assert clip.support.sum() == 0
                assert clip.support.shape == (2, 3, 80, 120)
                assert len(clip.support_labels) == 0
                continue
            assert clip.valid.all()
            sources = {background(image) for image in clip.support}
            assert len(sources) == 1
            assert clip.support_labels.tolist() == [*sources]
            swapped += sources != {video}
    assert 25 < dropped < 62  # of 144
    assert 25 < swapped < 62


def test_support_settings_leave_the_key_frame_alone(make_index: MakeIndex) -> None:
    index = make_index((6, 6))
    transform = TrainTransform((60, 70, 80), 120, crop_short_sides=(70,), crop_range=(50, 70))
    plain, *others = (
        ClipDataset(index, transform, **settings)
        for settings in (
            {},
            {"count": 0},
            {"count": 6, "reach": 2},
            {"support_dropout": 1.0},
            {"support_swap": 1.0},
        )
    )
    for position in range(12):
        for other in others:
            a, b = plain[0, position], other[0, position]
            assert torch.equal(a.frame, b.frame)
            assert torch.equal(a.boxes, b.boxes)


def test_swap_with_one_video_keeps_it(make_index: MakeIndex) -> None:
    clip = ClipDataset(make_index((6,)), PLAIN, support_swap=1.0)[0, 2]
    assert clip.valid.all()
    assert [place(image) for image in clip.support] != [2, 2]


def test_swapped_support_of_another_size_is_fitted(make_index: MakeIndex) -> None:
    index = make_index((3, 3))
    for t in range(3, 6):
        Image.new("RGB", (90, 150), (0, 0, 99)).save(index.frame_path(t))
    sizes = index.sizes.copy()
    sizes[3:] = (90, 150)
    clip = ClipDataset(replace(index, sizes=sizes), PLAIN, support_swap=1.0)[0, 0]
    assert clip.support.shape == (2, 3, 80, 120)
    assert (clip.support[:, 2] == 99).all()
    assert clip.support_labels.tolist() == [1]


def test_degrade_sees_key_and_support_before_the_geometry(make_index: MakeIndex) -> None:
    shapes = []

    def darken_key(frames: Tensor, rng: np.random.Generator) -> Tensor:
        shapes.append(tuple(frames.shape))
        return torch.cat([frames[:1] // 2, frames[1:]])

    clip = ClipDataset(make_index((4,)), EvalResize(40, 60), degrade=darken_key)[0, 1]
    assert shapes == [(3, 3, 80, 120)]
    assert clip.frame.max() == 127
    assert clip.support.amax((1, 2, 3)).tolist() == [255, 255]


def test_unreadable_clips_are_replaced_and_named(make_index: MakeIndex) -> None:
    index = make_index((12,))
    folder = Path(index.folders[0])
    intact = ClipDataset(index, PLAIN)
    # frame 11 must support neither of those looked at: reach 1
    data = ClipDataset(index, PLAIN, reach=1)
    good = data[0, 0]
    (folder / "000011.png").unlink()
    (folder / "000005.png").write_bytes((folder / "000005.png").read_bytes()[:100])
    assert data[0, 0].skipped == ()
    clip = data[0, 11]
    assert clip.name == "v0/000000"
    assert len(clip.skipped) == 1
    assert clip.skipped[0].startswith("unreadable: v0/000011: ")
    assert same(replace(clip, skipped=()), good)
    broken = [data[0, i] for i in (4, 5, 6)]  # key, or support of the key
    assert [clip.name for clip in broken] == ["v0/000007"] * 3
    assert [len(clip.skipped) for clip in broken] == [3, 2, 1]
    strict = ClipDataset(index, PLAIN, reach=1, skip_unreadable=False)
    with pytest.raises(DataError, match=r"000011\.png"):
        strict[0, 11]
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(DataError, match="12 clips in a row cannot be read"):
        intact[0, 0]


def test_a_frame_of_another_size_than_annotated_is_refused(make_index: MakeIndex) -> None:
    index = make_index((3,))
    data = ClipDataset(replace(index, sizes=index.sizes + 1), PLAIN, skip_unreadable=False)
    with pytest.raises(DataError, match="121×81"):
        data[0, 0]


def test_usable_keys(make_index: MakeIndex) -> None:
    index = make_index((5,))
    boxes = index.boxes.copy()
    boxes[1] = [50, 10, 50, 40]  # no area
    boxes[2] = np.nan
    sizes = index.sizes.copy()
    sizes[3] = (31, 500)
    sizes[4] = (0, 0)  # not known
    index = replace(index, boxes=boxes, sizes=sizes)
    assert usable_keys(index).tolist() == [0, 4]
    assert usable_keys(index, require_boxes=False).tolist() == [0, 1, 2, 4]
    assert usable_keys(replace(index, keys=np.array([4, 1, 4]))).tolist() == [4, 4]
    with pytest.raises(DataError, match="none of its 2 key frames"):
        usable_keys(replace(index, keys=np.array([1, 2])))


def test_groups_tell_upright_frames(make_index: MakeIndex) -> None:
    index = make_index((4,))
    sizes = index.sizes.copy()
    sizes[1] = sizes[1][::-1]
    sizes[2] = 0
    assert ClipDataset(replace(index, sizes=sizes), PLAIN).groups.tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 3},
        {"count": -2},
        {"reach": 0},
        {"seed": -1},
        {"support_dropout": 0.7, "support_swap": 0.7},
        {"support_dropout": -0.1},
    ],
)
def test_settings_that_make_no_sense(make_index: MakeIndex, wrong: dict[str, float]) -> None:
    with pytest.raises(DataError):
        ClipDataset(make_index((3,)), PLAIN, **wrong)
