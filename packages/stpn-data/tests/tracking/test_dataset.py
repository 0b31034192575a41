"""Clips: what is in them, from what it follows, and what happens to those that fail."""

from __future__ import annotations

import pickle
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
    TargetRule,
    TrackingClip,
    TrackingDataset,
    count_reasons,
    find_targets,
)
from stpn_data.tracking import cutting as cutting_module
from stpn_data.tracking import dataset as dataset_module
from stpn_data.tracking.crops import cut

SMALL = CropSettings(template_size=32, search_size=96)
ANY = TargetRule(min_frames=1, min_visible=1, min_still=0)


@pytest.fixture
def painted(make_index):
    """Targets of videos of 12 and 9 frames, white rectangles of classes 0 and 1."""
    return find_targets(make_index((12, 9)), ANY)


def dataset(*data, **settings) -> TrackingDataset:
    settings = {"crops": SMALL, "seed": 3, "samples_per_epoch": 40} | settings
    return TrackingDataset(data, **settings)


def same(a: TrackingClip, b: TrackingClip, *but: str) -> bool:
    return all(
        torch.equal(value, getattr(b, name))
        if isinstance(value, torch.Tensor)
        else value == getattr(b, name)
        for name, value in vars(a).items()
        if name not in but
    )


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


@pytest.mark.parametrize("stage", ["causal", "trident"])
def test_support_settings_leave_the_rest_as_it_is(painted, stage):
    settings = (
        SupportSampling(),
        SupportSampling(count=0),
        SupportSampling(count=5, frames=1, stride=1),
        SupportSampling(dropout=1, swap=0),
        SupportSampling(swap=1),
    )
    for at in range(6):
        usual, *others = (
            dataset(painted, sampling=Sampling(stage), support=support)[0, at]
            for support in settings
        )
        for other in others:
            assert same(usual, other, "support", "valid", "support_labels")
            assert not torch.equal(usual.support, other.support)


def test_support_of_another_video_and_none(painted):
    own, other, none = (
        [dataset(painted, support=support)[0, at] for at in range(8)]
        for support in (
            SupportSampling(swap=0),
            SupportSampling(swap=1),
            SupportSampling(swap=0, dropout=1),
        )
    )
    for clip in own:
        assert clip.support_labels.tolist() in ([clip.label], [])
    for clip in other:
        assert clip.support_labels.tolist() in ([1 - clip.label], [])
    assert any(len(clip.support_labels) for clip in own)
    assert any(len(clip.support_labels) for clip in other)
    for clip in none:
        assert not clip.valid.any()
        assert not clip.support.any()
        assert clip.support_labels.tolist() == []


def test_support_is_seen_as_the_search_crop_is(painted):
    """Grey and flipped alike, bright each on its own."""
    crops = replace(SMALL, centre_jitter=0, scale_jitter=0)
    still = SupportSampling(count=1, swap=0)
    for at in range(10):
        clip, plain = (
            dataset(painted, crops=crops, support=still, augmentation=looks)[0, at]
            for looks in (Augmentation(brightness=0), NO_AUGMENTATION)
        )
        ways = [
            [torch.equal(changed, pixels.flip(-1) if flip else pixels) for flip in (False, True)]
            for changed, pixels in (
                (clip.search, plain.search),
                (clip.support[0], plain.support[0]),
            )
        ]
        assert ways[0] == ways[1]


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


def test_failed_draws_are_named_and_counted(painted):
    index = painted.index
    missing = index.frame_path(3)
    missing.unlink()
    (missing.parent / "000007.png").write_bytes(b"not a picture")
    clips = [dataset(painted, seed=seed)[0, 0] for seed in range(25)]
    told = [entry for clip in clips for entry in clip.skipped if "padding" not in entry]
    assert told
    assert {entry[:25] for entry in told} == {"unreadable: v0/000003: " + str(missing)[:2]} | {
        "unreadable: v0/000007: " + str(missing)[:2]
    }
    assert count_reasons(told) == {"unreadable": len(told)}
    assert any(clip.skipped and clip.valid.all() for clip in clips), "drawn again"
    halved = [clip for clip in clips if not clip.valid.all()]
    assert halved, "support that cannot be read is left out alone"
    for clip in halved:
        assert not clip.support[~clip.valid].any()
    failing = next(n for n, c in enumerate(clips) if "unreadable" in "".join(c.skipped))
    strict = dataset(painted, seed=failing, skip_unreadable=False)
    with pytest.raises(DataError, match=r"00000[37]\.png"):
        strict[0, 0]
    missing.write_bytes((missing.parent / "000002.png").read_bytes())
    (missing.parent / "000007.png").write_bytes(missing.read_bytes())
    again = [entry for seed in range(25) for entry in dataset(painted, seed=seed)[0, 0].skipped]
    assert not any("unreadable" in entry for entry in again)  # the control


def test_a_crop_of_nothing_but_padding_is_drawn_again(make_index):
    index = make_index((12,))
    boxes = index.boxes.copy()
    boxes[::2] += 4000  # far outside the image
    data = dataset(find_targets(replace(index, boxes=boxes), ANY))
    clips = [data[0, at] for at in range(20)]
    told = [entry for clip in clips for entry in clip.skipped]
    assert count_reasons(told) == {"all padding": len(told)}
    assert all(clip.search.any() and clip.template.any() for clip in clips)
    assert all(clip.support[clip.valid].flatten(1).any(1).all() for clip in clips)


def test_without_an_end_of_failures_training_is_refused(make_index, monkeypatch):
    index = make_index((12,))
    boxes = index.boxes + np.float32(4000)
    monkeypatch.setattr(dataset_module, "MAX_REDRAWS", 7)
    data = dataset(find_targets(replace(index, boxes=boxes), ANY))
    with pytest.raises(
        DataError, match=r"7 draws .* \(7 × all padding\), the last: all padding: v0/"
    ):
        data[0, 0]
    assert dataset(find_targets(index, ANY))[0, 0].skipped == ()  # the control


def test_a_still_image_supports_itself_with_other_jitter(make_index):
    data = dataset(find_targets(make_index((1, 1)), ANY), support=SupportSampling(swap=0))
    clip = data[0, 0]
    assert clip.valid.all()
    assert torch.unique(clip.support, dim=0).shape[0] == 2
    assert not any(torch.equal(clip.search, crop) for crop in clip.support)


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
