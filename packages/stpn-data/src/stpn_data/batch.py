"""Clips and batches of clips, and the normalisation that is done on the device.

B clips, K support frames, n boxes, H x W pixels. Images stay uint8 until they are on the device: a
quarter of the bytes, and the CPU has better things to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stpn_data.errors import DataError

MEAN = (123.675, 116.28, 103.53)  # ImageNet, RGB, of uint8 levels (released code)
STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Clip:
    """A key frame with its support frames, at network size. Boxes are x1, y1, x2, y2 in it."""

    frame: Tensor  # uint8 (3,H,W)
    support: Tensor  # uint8 (K,3,H,W)
    valid: Tensor  # bool (K,) support frames that hold anything
    boxes: Tensor  # float32 (n,4)
    labels: Tensor  # int64 (n,)
    tracks: Tensor  # int64 (n,), -1 where none is given
    support_labels: Tensor  # int64 (m,) classes present in the support frames, ascending
    name: str
    index: int  # frame of the VideoIndex
    original_size: tuple[int, int]  # (h, w) of the file
    scale: tuple[float, float]  # (sx, sy) network pixels per pixel of the file
    skipped: tuple[str, ...] = ()  # clips that could not be read and that this one stands in for
    masks: Tensor | None = None  # uint8 (n,H,W) of the boxes, 0 or 1; None: the data set has none


@dataclass(frozen=True)
class Batch:
    """B clips, zero-padded on the right and at the bottom to one size."""

    frames: Tensor  # uint8 (B,3,H,W)
    support: Tensor  # uint8 (B,K,3,H,W)
    valid: Tensor  # bool (B,K)
    sizes: Tensor  # int64 (B,2) h, w without padding
    boxes: list[Tensor]  # float32 (n,4) each
    labels: list[Tensor]  # int64 (n,) each
    tracks: list[Tensor]  # int64 (n,) each
    support_labels: list[Tensor]  # int64 (m,) each
    names: list[str]
    indices: list[int]
    original_sizes: list[tuple[int, int]]
    scales: list[tuple[float, float]]
    skipped: tuple[str, ...] = ()
    masks: list[Tensor] | None = None  # uint8 (n,H,W) each, padded as the frames are

    def __len__(self) -> int:
        return len(self.frames)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """The same batch with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, from where a copy to the device overlaps work."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return replace(
            self,
            frames=change(self.frames),
            support=change(self.support),
            valid=change(self.valid),
            sizes=change(self.sizes),
            boxes=[change(boxes) for boxes in self.boxes],
            labels=[change(labels) for labels in self.labels],
            tracks=[change(tracks) for tracks in self.tracks],
            support_labels=[change(labels) for labels in self.support_labels],
            masks=None if self.masks is None else [change(masks) for masks in self.masks],
        )


def collate(
    clips: Sequence[Clip], divisor: int = 32, zeros: Callable[..., Tensor] = torch.zeros
) -> Batch:
    """Join clips; height and width are rounded up to multiples of `divisor`.

    zeros: makes the zero tensors that hold frames, then support frames, then all masks if there are
        any.

    Raises DataError if the clips have different numbers of support frames, or some have masks.
    """
    if not clips:
        raise DataError("a batch needs one clip or more")
    counts = {len(clip.support) for clip in clips}
    if len(counts) > 1:
        raise DataError(f"clips of one batch have different numbers of support frames: {counts}")
    height, width = (
        -(-max(clip.frame.shape[axis] for clip in clips) // divisor) * divisor for axis in (1, 2)
    )
    frames = zeros(len(clips), 3, height, width, dtype=torch.uint8)
    support = zeros(len(clips), counts.pop(), 3, height, width, dtype=torch.uint8)
    for row, clip in enumerate(clips):
        h, w = clip.frame.shape[-2:]
        frames[row, :, :h, :w] = clip.frame
        support[row, :, :, :h, :w] = clip.support
    masks = [clip.masks for clip in clips if clip.masks is not None]
    if masks and len(masks) < len(clips):
        raise DataError("some clips of a batch have instance masks and others have none")
    return Batch(
        frames=frames,
        support=support,
        valid=torch.stack([clip.valid for clip in clips]),
        sizes=torch.tensor([clip.frame.shape[-2:] for clip in clips]),
        boxes=[clip.boxes for clip in clips],
        labels=[clip.labels for clip in clips],
        tracks=[clip.tracks for clip in clips],
        support_labels=[clip.support_labels for clip in clips],
        names=[clip.name for clip in clips],
        indices=[clip.index for clip in clips],
        original_sizes=[clip.original_size for clip in clips],
        scales=[clip.scale for clip in clips],
        skipped=tuple(name for clip in clips for name in clip.skipped),
        masks=_pad_masks(masks, height, width, zeros) if masks else None,
    )


def _pad_masks(
    masks: Sequence[Tensor], height: int, width: int, zeros: Callable[..., Tensor]
) -> list[Tensor]:
    """Masks of each clip at the size of the batch, views of one tensor."""
    counts = [len(m) for m in masks]
    joined = zeros(sum(counts), height, width, dtype=torch.uint8)
    padded = list(joined.split(counts))
    for place, m in zip(padded, masks, strict=True):
        place[:, : m.shape[1], : m.shape[2]] = m
    return padded


def normalise(frames: Tensor, sizes: Tensor | None = None) -> Tensor:
    """uint8 (B,3,H,W), (B,K,3,H,W) or (3,H,W) to float32, mean 0 and deviation 1 on ImageNet.

    sizes (B,2): h, w of each row without padding; outside of it the result is zero, as in the
    released code, which pads after it has normalised. None: nothing is padding.
    """
    shape = (3, 1, 1)
    mean = torch.tensor(MEAN, device=frames.device).view(shape)
    std = torch.tensor(STD, device=frames.device).view(shape)
    out = (frames.float() - mean) / std
    if sizes is None:
        return out
    height, width = frames.shape[-2:]
    inner = (len(sizes),) + (1,) * (frames.ndim - 3)  # B, then one for K and channels
    rows = torch.arange(height, device=frames.device) < sizes[:, :1]
    columns = torch.arange(width, device=frames.device) < sizes[:, 1:]
    inside = rows.view(*inner, height, 1) & columns.view(*inner, 1, width)
    return torch.where(inside, out, 0.0)
