"""Clips: what is in them, and from what it follows."""

from __future__ import annotations

import pickle
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch

from stpn_data.clips import read_frame
from stpn_data.datasets import open_dataset
from stpn_data.errors import DataError
from stpn_data.index import ABSENT
from stpn_data.tracking import (
    NO_AUGMENTATION,
    Augmentation,
    CropSettings,
    Sampling,
    SupportSampling,
    find_targets,
)
from stpn_data.tracking import cutting as cutting_module
from stpn_data.tracking.crops import cut
from stpn_data.tracking.cutting import CropFailed, Cutter
from stpn_data.tracking.draw import TargetPool

from .small import ANY, SMALL, dataset, same


def white(pixels: torch.Tensor) -> tuple[float, ...]:
    """Sides of the white area, in sides of the crop."""
    rows, columns = (pixels.amin(0) > 127).nonzero().T
    size = pixels.shape[-1]
    x1, x2, y1, y2 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    return tuple(float(side) / size for side in (x1, y1, x2, y2))


def test_shapes_and_types(painted):
    clip = dataset(painted, sampling=Sampling(online=2), support=SupportSampling(count=3))[0, 5]
    assert clip.template.shape == (3, 32, 32)
    assert clip.online.shape == (2, 3, 32, 32)
    assert clip.search.shape == (3, 96, 96)
    assert clip.support.shape == (3, 3, 96, 96)
    pixels = clip.template, clip.online, clip.search, clip.support
    assert {part.dtype for part in pixels} == {torch.uint8}
    assert clip.valid.tolist() == [True] * 3
    assert clip.box.dtype == clip.positive.dtype == torch.float32
    assert clip.support_labels.dtype == torch.int64
    bare = dataset(painted, sampling=Sampling(online=0), support=SupportSampling(count=0))[0, 5]
    assert bare.online.shape == (0, 3, 32, 32)
    assert bare.support.shape == (0, 3, 96, 96)
    assert bare.support_labels.tolist() == []


def test_the_box_is_where_the_target_is(painted):
    crops = replace(SMALL, parity=False, scale_jitter=0.2, centre_jitter=1.5)
    flipped = 0
    for settings in (NO_AUGMENTATION, Augmentation(grey=0.5, brightness=0.3)):
        data = dataset(painted, crops=crops, augmentation=settings)
        for at in range(12):
            clip = data[0, at]
            visible = clip.box.clamp(0, 1).tolist()
            assert white(clip.search) == pytest.approx(visible, abs=1.1 / 96)
            plain = dataset(painted, crops=crops, augmentation=NO_AUGMENTATION)[0, at]
            flipped += not torch.allclose(clip.box, plain.box)
            x1, y1, x2, y2 = white(clip.template)  # not jittered: in the middle
            assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((0.5, 0.5), abs=1 / 32)
            assert white(clip.online[0]) == pytest.approx((x1, y1, x2, y2), abs=1.1 / 32)
    assert 3 < flipped < 12, "half of those of the second kind"


def test_jitter_is_spread_as_in_the_original(painted):
    settings = replace(SMALL, parity=False)
    cutter, place = Cutter([painted], settings), TargetPool([painted]).place(0, 0, 11)
    rng = np.random.default_rng(0)
    crops = []
    for _ in range(400):
        with suppress(CropFailed):  # some show nothing but padding
            crops.append(cutter.search(place, rng).box)
    assert len(crops) > 380
    x1, y1, x2, y2 = np.array(crops).T
    for centre in ((x1 + x2) / 2, (y1 + y2) / 2):  # 4.5 of 5 root areas wide
        assert 0.04 < centre.min() < 0.1
        assert 0.9 < centre.max() < 0.96
        assert centre.std() == pytest.approx(0.9 / 12**0.5, abs=0.03)
    _, _, w, h = painted.box(0, 11)
    # w' / h' = w / h exp(0.5 (n1 - n2)), so their crops' sides vary by exp(-0.25 (n1 + n2))
    assert np.log((x2 - x1) * 5 / (w / h) ** 0.5).std() == pytest.approx(0.5 / 2**0.5, abs=0.04)


def test_parity_is_half_a_pixel_of_skew(painted):
    skewed, exact = (
        dataset(painted, augmentation=NO_AUGMENTATION, crops=replace(SMALL, parity=parity))[0, 0]
        for parity in (True, False)
    )
    assert (exact.box - skewed.box).tolist() == pytest.approx([0.5 / 96] * 4, abs=1e-6)


def test_boxes_may_reach_outside_the_crop(painted):
    boxes = torch.stack([dataset(painted)[0, at].box for at in range(40)])
    assert boxes.min() < 0
    assert boxes.max() > 1
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_everything_follows_from_seed_epoch_and_position(painted):
    data = dataset(painted)
    first = data[2, 7]
    data[0, 0]
    assert same(data[2, 7], first)
    assert same(pickle.loads(pickle.dumps(data))[2, 7], first)
    for other in (data[2, 8], data[3, 7], dataset(painted, seed=4)[2, 7]):
        assert not torch.equal(other.search, first.search)


@pytest.mark.parametrize("stage", ["causal", "trident"])
def test_a_clip_can_be_named_without_reading_it(painted, stage, monkeypatch):
    data = dataset(painted, sampling=Sampling(stage), augmentation=NO_AUGMENTATION)
    read: list[str] = []

    def watched(index, frame):
        read.append(index.frame_name(frame))
        return read_frame(index, frame)

    monkeypatch.setattr(cutting_module, "read_frame", watched)
    for at in range(12):
        clip, name = data[1, at], data.name(at, 1)
        if not clip.skipped:
            target, frames = name.split(": ")
            video = target.split("#")[0]
            assert clip.name.startswith(f"{target}, search in ")
            told = [f if "/" in f else f"{video}/{f}" for f in frames.split(", ")]
            assert told == read
        read.clear()


def test_templates_are_crops_of_the_frames(painted):
    data = dataset(painted, augmentation=NO_AUGMENTATION, sampling=Sampling(online=0))
    clip = data[0, 1]
    index = painted.index
    every = [
        cut(read_frame(index, frame), painted.box(n, time), 2.0, 32).pixels
        for n in range(len(painted))
        for time in painted.times(n)
        for frame in [painted.first_frame(n) + int(time)]
    ]
    assert sum(torch.equal(clip.template, crop) for crop in every) >= 1


def test_negatives_show_something_else(painted):
    data = dataset(painted, sampling=Sampling("trident", negatives=1))
    for at in range(6):
        clip = data[0, at]
        assert clip.positive == 0
        assert f"v{clip.label}#" in clip.name
        assert f"search in v{1 - clip.label}/" in clip.name
    positive = dataset(painted, sampling=Sampling("trident", negatives=0))[0, 0]
    assert positive.positive == 1
    assert f"search in v{positive.label}/" in positive.name


def test_a_frame_without_the_target_is_searched_in_its_middle(make_index):
    index = make_index((12,))
    flags = np.where(np.arange(12) == 5, ABSENT, 0).astype(np.uint8)
    data = dataset(
        find_targets(replace(index, flags=flags), ANY),
        sampling=Sampling("trident", negatives=1),
        crops=replace(SMALL, centre_jitter=0, scale_jitter=0, parity=False),
        augmentation=NO_AUGMENTATION,
    )
    clip = data[0, 0]
    assert "search in v0/000005" in clip.name
    # 15 x 10 pixels of 120 x 80, in a crop of ceil(5 sqrt(150)) = 62 pixels
    w, h = 15 / 62, 10 / 62
    middle = (52 + 7.5, 35 + 5)
    x, y = (0.5 - w / 2, 0.5 - h / 2)
    assert clip.box.tolist() == pytest.approx([x, y, x + w, y + h], abs=1e-5)
    around = (middle[0] - 7.5, middle[1] - 5, 15.0, 10.0)
    expected = cut(read_frame(index, 5), around, 5.0, 96, parity=False).pixels
    assert torch.equal(clip.search, expected)


def test_labels_are_positions_in_the_classes_of_all_data_sets(make_index, painted):
    other = replace(painted, index=replace(painted.index, classes=("class1", "new")))
    data = dataset(painted, other, support=SupportSampling(swap=0))
    assert data.classes == ("class0", "class1", "new")
    alone = dataset(other, support=SupportSampling(swap=0))
    assert alone.classes == ("class1", "new")
    seen = {(data[0, at].name.split("#")[0], data[0, at].label) for at in range(40)}
    assert seen == {("v0", 0), ("v1", 1), ("v0", 1), ("v1", 2)}


@pytest.mark.parametrize("wrong", [{"samples_per_epoch": 0}, {"seed": -1}, {"weights": (1, 2)}])
def test_settings_that_make_no_sense(painted, wrong):
    with pytest.raises(DataError):
        dataset(painted, **wrong)


@pytest.mark.parametrize("wrong", [{"search_size": 0}, {"centre_jitter": -1}])
def test_crops_that_make_no_sense(wrong):
    with pytest.raises(DataError, match="must be above 0"):
        CropSettings(**wrong)


@pytest.mark.parametrize("stage", ["causal", "trident"])
def test_real_frames(shared, stage):
    data = dataset(
        find_targets(open_dataset(shared / "data/got10k", "train")),
        find_targets(open_dataset(shared / "data/youtube_vis", "train")),
        sampling=Sampling(stage),
    )
    clips = [data[1, at] for at in range(8)]
    assert all(clip.search.any() and clip.template.any() for clip in clips)
    assert len({clip.name for clip in clips}) == 8
    assert {float(clip.positive) for clip in clips} == ({1.0} if stage == "causal" else {0.0, 1.0})
