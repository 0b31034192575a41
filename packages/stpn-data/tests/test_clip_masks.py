from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from vis_tree import rectangle, vis_tree

from stpn_data import open_dataset
from stpn_data.batch import Batch, collate
from stpn_data.clips import ClipDataset
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.loader import training_loader
from stpn_data.transforms import EvalResize, Geometry, TrainTransform, mask_boxes
from stpn_data.transforms.geometry import Crop

PLAIN = EvalResize(48, 64)  # the size of the frames: nothing changes
RANDOM = TrainTransform((40, 60), crop_short_sides=(50,), crop_range=(30, 45))


@pytest.fixture
def index(tmp_path: Path) -> VideoIndex:
    return open_dataset(vis_tree(tmp_path), cache=False, progress=False)


def test_masks_lie_on_their_objects_whatever_the_geometry(index: VideoIndex) -> None:
    """Objects are white: under each mask the frame is, and nothing outside all of them is."""
    clips = ClipDataset(index, RANDOM, seed=3, draws=12, require_boxes=False)
    sizes, masks = set(), 0
    for position in range(len(clips)):
        clip = clips[0, position]
        assert clip.masks is not None
        assert clip.masks.dtype == torch.uint8
        assert clip.masks.shape == (len(clip.labels), *clip.frame.shape[1:])
        assert torch.equal(clip.boxes, mask_boxes(clip.masks))
        assert len(clip.boxes) == len(clip.tracks)
        union = clip.masks.amax(0) if len(clip.masks) else torch.zeros(clip.frame.shape[1:])
        # resizing mixes pixels near a border
        near = torch.nn.functional.avg_pool2d(
            union[None].float(), 9, 1, 4, count_include_pad=False
        )[0]
        assert (clip.frame[0][near > 0.99] > 250).all()
        assert (clip.frame[0][near < 0.01] < 60).all()
        masks += len(clip.masks)
        sizes.add(clip.frame.shape)
    assert masks > 60
    assert len(sizes) > 4


def test_a_clip_holds_the_masks_of_its_frame(index: VideoIndex) -> None:
    clips = ClipDataset(index, PLAIN, require_boxes=False)
    assert len(clips) == 7
    for frame in range(7):
        clip = clips[0, frame]
        assert clip.masks is not None
        assert np.array_equal(clip.masks, index.masks_of(frame))
        assert clip.tracks.tolist() == index.boxes_of(frame).tracks.tolist()
        assert clip.boxes.tolist() == [list(rectangle(t, frame % 4)) for t in clip.tracks.tolist()]
    empty = clips[0, 4]
    assert empty.masks is not None
    assert empty.masks.shape == (0, 48, 64)
    assert empty.boxes.shape == (0, 4)
    assert len(ClipDataset(index, PLAIN)) == 6  # unless frames need an object


def test_masks_only_where_there_are_some_and_they_are_wanted(index: VideoIndex) -> None:
    for clips in (
        ClipDataset(index, PLAIN, masks=False),
        ClipDataset(replace(index, masks=None), PLAIN),
    ):
        assert clips[0, 0].masks is None
        assert collate([clips[0, 0], clips[0, 1]]).masks is None
        assert clips[0, 0].boxes.tolist() == [list(rectangle(2, 0))]


def test_a_mask_that_vanishes_takes_its_box_and_label_along(index: VideoIndex) -> None:
    left = Geometry(Crop(0, 0, 48, 24), (48, 24), (48, 24))

    class Left:
        def draw(self, rng: object, size: object, frames: int) -> tuple[Geometry, ...]:
            return (left,) * frames

    clip = ClipDataset(index, Left(), masks=True)[0, 1]
    assert clip.tracks.tolist() == [4]  # 4 begins at x = 17, 2 at 27
    clip = ClipDataset(index, EvalResize(48, 64))[0, 1]
    assert clip.tracks.tolist() == [2, 4]


@pytest.mark.parametrize("size", [(24, 32), (48, 64), (47, 63), (96, 128), (33, 91)])
@pytest.mark.parametrize("crop", [Crop(0, 0, 48, 64), Crop(5, 7, 31, 40)])
def test_resizing_is_pillows_nearest(size: tuple[int, int], crop: Crop) -> None:
    masks = np.random.default_rng(0).integers(0, 2, (2, 48, 64), np.uint8)
    placed = Geometry(crop, crop[2:], size, flip=True).masks(torch.from_numpy(masks))
    top, left, height, width = crop
    for given, got in zip(masks, placed.numpy(), strict=True):
        part = Image.fromarray(given[top : top + height, left : left + width])
        want = np.asarray(part.resize(size[::-1], Image.Resampling.NEAREST))
        assert np.array_equal(got[:, ::-1], want)


def test_padding_between_crop_and_canvas_is_outside() -> None:
    ones = torch.ones(1, 48, 64, dtype=torch.uint8)
    placed = Geometry(Crop(0, 0, 24, 32), (48, 64), (96, 128)).masks(ones)
    assert placed[0, :48, :64].all()
    assert placed.sum() == 48 * 64


def test_boxes_around_masks() -> None:
    masks = torch.zeros(4, 6, 9, dtype=torch.uint8)
    masks[0, 2:5, 3:4] = 1
    masks[1] = 1
    masks[2, 5, 8] = 1
    want = [[3, 2, 4, 5], [0, 0, 9, 6], [8, 5, 9, 6], [0, 0, 0, 0]]
    assert mask_boxes(masks).tolist() == want
    assert mask_boxes(masks[:0]).shape == (0, 4)


def test_a_batch_pads_masks_as_it_pads_frames(index: VideoIndex) -> None:
    clips = ClipDataset(index, RANDOM, require_boxes=False)
    some = [clips[0, position] for position in (1, 4, 5)]
    batch = collate(some)
    assert batch.masks is not None
    for mask, clip in zip(batch.masks, some, strict=True):
        assert clip.masks is not None
        h, w = clip.frame.shape[1:]
        assert mask.shape == (len(clip.labels), *batch.frames.shape[2:])
        assert torch.equal(mask[:, :h, :w], clip.masks)
        assert mask.sum() == clip.masks.sum()
    on_meta = batch.to("meta").masks
    assert on_meta is not None
    assert [(m.device.type, m.shape) for m in on_meta] == [("meta", m.shape) for m in batch.masks]
    with pytest.raises(DataError, match="some clips of a batch have instance masks"):
        collate([some[0], replace(some[1], masks=None)])
    empty = collate([clips[0, 4]]).masks
    assert empty is not None
    assert empty[0].shape[0] == 0


def test_one_random_frame_of_each_video(index: VideoIndex) -> None:
    clips = ClipDataset(index, PLAIN, by_video=True, require_boxes=False, draws=2)
    assert len(clips) == len(clips.groups) == 4
    assert [clips.name(position) for position in range(4)] == ["a", "b", "a", "b"]
    seen: Counter[int] = Counter()
    for epoch in range(60):
        for position in range(4):
            places = clips._keys_at(position)
            assert [index.video_of(int(clips.keys[p])) for p in places] == [position % 2] * len(
                places
            )
        seen.update(clips[epoch, position].index for position in range(4))
    assert set(seen) == set(range(7))  # b/00000, which shows nothing, among them
    for frame, share in enumerate([1 / 4] * 4 + [1 / 3] * 3):
        assert abs(seen[frame] / 120 - share) < 0.15
    assert clips[5, 1].index == clips[5, 1].index
    assert clips[0, 0].name.startswith("a/")


def test_frames_chosen_by_video_leave_the_rest_of_the_draw_alone(index: VideoIndex) -> None:
    """Position 0 is frame 0 in one and some frame of video a in the other: same geometry."""
    frames = ClipDataset(index, RANDOM, seed=4)
    videos = ClipDataset(index, RANDOM, seed=4, by_video=True)
    for epoch in range(5):
        assert frames[epoch, 0].frame.shape == videos[epoch, 0].frame.shape
    with pytest.raises(DataError, match="draws must be 1 or more"):
        ClipDataset(index, RANDOM, draws=0)


def test_workers_give_the_same_masks(index: VideoIndex) -> None:
    clips = ClipDataset(index, RANDOM, by_video=True, require_boxes=False, draws=4)

    def batches(workers: int) -> list[Batch]:
        with training_loader(clips, 2, workers=workers, pin_memory=False) as loader:
            return [next(loader) for _ in range(6)]

    def masks(batch: Batch) -> list[Tensor]:
        assert batch.masks is not None
        return batch.masks

    for here, there in zip(batches(0), batches(1), strict=True):
        assert here.names == there.names
        for one, other in zip(masks(here), masks(there), strict=True):
            assert torch.equal(one, other)


def test_real_videos_make_a_batch(shared: Path) -> None:
    index = open_dataset(shared / "data/youtube_vis", "train[:80%]", cache=False)
    transform = TrainTransform((180, 240), crop_probability=0.0)
    clips = ClipDataset(index, transform, by_video=True, require_boxes=False)
    with training_loader(clips, 3, workers=0) as loader:
        batch = next(loader)
    assert batch.masks is not None
    for mask, labels in zip(batch.masks, batch.labels, strict=True):
        assert mask.shape == (len(labels), *batch.frames.shape[2:])
        assert 0 < mask.float().mean() < 0.6
