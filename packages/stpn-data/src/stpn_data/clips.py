"""Training clips: a key frame, random support frames around it, one geometry for all of them.

Everything random about a clip follows from (seed, epoch, index), never from a worker or from what
was loaded before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpn_data.batch import Clip, collate
from stpn_data.errors import DataError
from stpn_data.image import decode_image
from stpn_data.index import VideoIndex
from stpn_data.support import bilateral
from stpn_data.transforms import ClipTransform, Geometry, cover, mask_boxes

Degrade = Callable[[Tensor, np.random.Generator], Tensor]
"""uint8 (T,3,H,W), key frame first, and a random generator to uint8 of the same shape."""

MIN_SIDE = 32  # pixels; smaller images are no key frames (released code)
MAX_SKIPS = 100  # clips in a row that cannot be read before training is refused


class ClipDataset:
    """Clips of a VideoIndex, addressed by (epoch, position): a position is a key frame, or a video.

    by_video: a position is a video, of which one random frame is the key frame (all frames alike,
        as video instance segmentation is trained). Default: each key frame is a position.
    draws: positions for each of them in an epoch, other random frames and sizes each.
    masks: clips have the instance masks of their key frame, if the data set has any. What is not
        visible at network size is left out, and boxes are those around the masks.
    count, reach: support frames per clip, half on each side of the key frame, and how far away.
    support_dropout: share of clips that come without any valid support.
    support_swap: share of clips whose support is taken from another video.
    degrade: changes the decoded frames before the geometry; gets the key frame first.
    require_boxes: key frames without a valid box are left out, as the released code does.
    skip_unreadable: a clip with a missing or damaged file is replaced by the next position, and
        named in `Clip.skipped`; False raises DataError instead.
    """

    collate = staticmethod(collate)  # how a loader joins its clips

    def __init__(
        self,
        index: VideoIndex,
        transform: ClipTransform,
        *,
        count: int = 2,
        reach: int = 9,
        seed: int = 0,
        support_dropout: float = 0.0,
        support_swap: float = 0.0,
        degrade: Degrade | None = None,
        require_boxes: bool = True,
        skip_unreadable: bool = True,
        by_video: bool = False,
        draws: int = 1,
        masks: bool = True,
    ) -> None:
        if count < 0 or count % 2 or reach < 1 or seed < 0:
            raise DataError(
                f"clips need an even count of support frames (got {count}), "
                f"reach of 1 or more (got {reach}) and a seed of 0 or more (got {seed})"
            )
        if draws < 1:
            raise DataError(f"draws must be 1 or more, not {draws}")
        shares = support_dropout, support_swap
        if min(shares) < 0 or sum(shares) > 1:
            raise DataError(
                "support_dropout and support_swap are shares of the clips and may not exceed 1 "
                f"together; got {support_dropout} and {support_swap}"
            )
        self.index = index
        self.transform = transform
        self.count = count
        self.reach = reach
        self.seed = seed
        self.support_dropout = support_dropout
        self.support_swap = support_swap
        self.degrade = degrade
        self.skip_unreadable = skip_unreadable
        self.by_video = by_video
        self.draws = draws
        self.masks = masks and index.masks is not None
        self.keys = usable_keys(index, require_boxes)
        self._starts = np.arange(len(self.keys) + 1)  # keys of each position begin here
        if by_video:
            self.keys = np.sort(self.keys)
            video = np.searchsorted(index.video_start, self.keys, side="right")
            turns = np.flatnonzero(video[1:] != video[:-1]) + 1
            self._starts = np.concatenate([[0], turns, [len(self.keys)]])

    def __len__(self) -> int:
        return (len(self._starts) - 1) * self.draws

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n,) 1 for upright key frames, 0 for the others: batches of one group pad less."""
        width, height = self.index.sizes[self.keys[self._starts[:-1]]].T
        return np.tile((height > width).astype(np.int64), self.draws)

    def name(self, position: int, epoch: int = 0) -> str:
        """Name of the key frame, or of the video, at `position`, in every epoch."""
        first = int(self.keys[self._keys_at(position)[0]])
        if self.by_video:
            return self.index.video_names[self.index.video_of(first)]
        return self.index.frame_name(first)

    def _keys_at(self, position: int) -> range:
        """Places in `keys` of the key frames that `position` may take."""
        place = position % (len(self._starts) - 1)
        return range(int(self._starts[place]), int(self._starts[place + 1]))

    def __getitem__(self, at: tuple[int, int]) -> Clip:
        """The clip at (epoch, position), or the next readable one."""
        epoch, position = at
        skipped: list[str] = []
        while True:
            try:
                clip = self._clip(epoch, (position + len(skipped)) % len(self))
            except (DataError, OSError) as error:
                if not self.skip_unreadable:
                    raise
                name = self.name((position + len(skipped)) % len(self))
                skipped.append(f"unreadable: {name}: {error}")
                if len(skipped) >= min(MAX_SKIPS, len(self)):
                    raise DataError(
                        f"{len(skipped)} clips in a row cannot be read, the last: {skipped[-1]}"
                    ) from error
            else:
                return _with_skipped(clip, skipped)

    def _clip(self, epoch: int, position: int) -> Clip:
        # Streams of their own: settings of the support leave geometry and degradation as they are,
        # so that runs which differ in support alone can be compared.
        rng = np.random.default_rng([self.seed, epoch, position])
        of_support, of_geometry, of_degradation, of_key = rng.spawn(4)
        places = self._keys_at(position)
        chosen = of_key.integers(len(places)) if len(places) > 1 else 0
        key = int(self.keys[places[chosen]])
        support = self._draw_support(of_support, key)
        images = self._decode([key, *support])
        size = (images[0].shape[-2], images[0].shape[-1])
        geometry = self.transform.draw(of_geometry, size, 1 + self.count)
        labels = self._support_labels(support, size, geometry[1:])
        if self.degrade is not None:
            images = list(self.degrade(torch.stack(images), of_degradation))
        placed = _place(images, geometry)
        shape = (self.count, *placed[0].shape)
        found = self.index.boxes_of(key)
        masks = None
        if self.masks:
            masks, boxes, kept = _place_masks(self.index.masks_of(key), geometry[0])
        else:
            boxes, kept = geometry[0].boxes(torch.tensor(found.boxes))
        return Clip(
            frame=placed[0],
            support=torch.stack(placed[1:]) if support else placed[0].new_zeros(shape),
            valid=torch.full((self.count,), bool(support)),
            boxes=boxes,
            labels=torch.tensor(found.labels, dtype=torch.int64)[kept],
            tracks=torch.tensor(found.tracks, dtype=torch.int64)[kept],
            support_labels=labels,
            name=self.index.frame_name(key),
            index=key,
            original_size=size,
            scale=geometry[0].scale,
            masks=masks,
        )

    def _draw_support(self, rng: np.random.Generator, key: int) -> list[int]:
        """Frames that support `key`; none where they are dropped."""
        chance = rng.random()
        if self.count == 0 or chance < self.support_dropout:
            return []
        swapped = chance < self.support_dropout + self.support_swap
        around = self._other_video(rng, key) if swapped else key
        frames = self.index.frames_of(self.index.video_of(around))
        near = bilateral(rng, around - frames.start, len(frames), self.reach, self.count)
        return [frames[t] for t in near]

    def _other_video(self, rng: np.random.Generator, key: int) -> int:
        """A random key frame of another video, or `key` if there is only one video."""
        own = self.index.frames_of(self.index.video_of(key))
        others = self.keys[(self.keys < own.start) | (self.keys >= own.stop)]
        return int(rng.choice(others)) if len(others) else key

    def _decode(self, frames: Sequence[int]) -> list[Tensor]:
        """uint8 (3,H,W) of each frame, all at the size of the first; repeats are decoded once."""
        decoded: dict[int, Tensor] = {}
        for frame in frames:
            if frame not in decoded:
                image = read_frame(self.index, frame)
                size = decoded[frames[0]].shape[-2:] if decoded else image.shape[-2:]
                decoded[frame] = cover(image, (size[0], size[1]))
        return [decoded[frame] for frame in frames]

    def _support_labels(
        self, support: Sequence[int], size: tuple[int, int], geometry: Sequence[Geometry]
    ) -> Tensor:
        """Classes seen in the support frames, after the crop where their pixels are known."""
        present: set[int] = set()
        for frame, place in zip(support, geometry, strict=False):
            found = self.index.boxes_of(frame)
            labels = torch.tensor(found.labels, dtype=torch.int64)
            if tuple(self.index.sizes[frame]) in (size[::-1], (0, 0)):
                labels = labels[place.boxes(torch.tensor(found.boxes)).kept]
            present.update(labels.tolist())
        return torch.tensor(sorted(present), dtype=torch.int64)


def usable_keys(index: VideoIndex, require_boxes: bool = True) -> NDArray[np.int64]:
    """Key frames of `index` that are not tiny and, if asked, hold a box with an area.

    Raises DataError if none is left.
    """
    keys = index.keys
    sizes = index.sizes[keys]
    good = (sizes.min(1, initial=MIN_SIDE) >= MIN_SIDE) | (sizes == 0).any(1)
    if require_boxes:
        x1, y1, x2, y2 = index.boxes.T
        valid = np.concatenate([[0], np.cumsum((x2 > x1) & (y2 > y1))])
        counts = valid[index.box_start]
        good &= counts[keys + 1] > counts[keys]
    if not good.any():
        raise DataError(
            f"{index.source}: none of its {len(keys)} key frames can be used for training: "
            f"key frames need sides of {MIN_SIDE} pixels or more"
            + (" and one box with x1 < x2, y1 < y2" if require_boxes else "")
        )
    return keys[good]


def read_frame(index: VideoIndex, frame: int) -> Tensor:
    """Decode one frame, uint8 (3,H,W), checked against the annotated size.

    Raises DataError that names the file if it is missing, damaged or of another size.
    """
    width, height = (int(side) for side in index.sizes[frame])
    expected = (width, height) if width and height else None
    return decode_image(index.frame_path(frame), expect_size=expected)


def _place(images: Sequence[Tensor], geometry: Sequence[Geometry]) -> list[Tensor]:
    """Each image at network size; the same image under the same geometry is resized once."""
    done: dict[tuple[int, Geometry], Tensor] = {}
    for image, place in zip(images, geometry, strict=False):
        if (id(image), place) not in done:
            done[id(image), place] = place.images(image)
    return [done[id(image), place] for image, place in zip(images, geometry, strict=False)]


def _place_masks(masks: NDArray[np.uint8], place: Geometry) -> tuple[Tensor, Tensor, Tensor]:
    """Masks (k,h,w) at network size that still show something, boxes around them, and which of the n
    given ones they are.
    """
    placed = place.masks(torch.from_numpy(masks))
    kept = placed.flatten(1).any(1).nonzero().squeeze(1)
    placed = placed[kept].contiguous()
    return placed, mask_boxes(placed), kept


def _with_skipped(clip: Clip, skipped: Sequence[str]) -> Clip:
    return replace(clip, skipped=tuple(skipped)) if skipped else clip
