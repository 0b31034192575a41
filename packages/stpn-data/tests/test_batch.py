from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpn_data.batch import MEAN, STD, Batch, Clip, collate, normalise
from stpn_data.errors import DataError


def clip(height: int, width: int, count: int = 2, boxes: int = 1, name: str = "a") -> Clip:
    return Clip(
        frame=torch.full((3, height, width), 7, dtype=torch.uint8),
        support=torch.full((count, 3, height, width), 9, dtype=torch.uint8),
        valid=torch.ones(count, dtype=torch.bool),
        boxes=torch.ones(boxes, 4),
        labels=torch.ones(boxes, dtype=torch.int64),
        tracks=torch.ones(boxes, dtype=torch.int64),
        support_labels=torch.tensor([3]),
        name=name,
        index=5,
        original_size=(2 * height, 2 * width),
        scale=(0.5, 0.5),
        skipped=(f"before {name}",),
    )


def test_collate_pads_right_and_bottom_with_zeros() -> None:
    batch = collate([clip(30, 70), clip(40, 50, boxes=0, name="b")])
    assert batch.frames.shape == (2, 3, 64, 96)
    assert batch.support.shape == (2, 2, 3, 64, 96)
    assert batch.sizes.tolist() == [[30, 70], [40, 50]]
    assert batch.frames.dtype == batch.support.dtype == torch.uint8
    for row, (h, w) in enumerate(batch.sizes.tolist()):
        assert (batch.frames[row, :, :h, :w] == 7).all()
        assert (batch.support[row, :, :, :h, :w] == 9).all()
        assert batch.frames[row].sum() == 7 * 3 * h * w
        assert batch.support[row].sum() == 9 * 2 * 3 * h * w
    assert [len(boxes) for boxes in batch.boxes] == [1, 0]
    assert batch.names == ["a", "b"]
    assert batch.original_sizes == [(60, 140), (80, 100)]
    assert batch.skipped == ("before a", "before b")
    assert len(batch) == 2
    assert collate([clip(30, 70)], divisor=1).frames.shape == (1, 3, 30, 70)
    assert collate([clip(32, 64)], divisor=32).frames.shape == (1, 3, 32, 64)


def test_collate_without_support_and_with_unequal_support() -> None:
    batch = collate([clip(8, 8, count=0)])
    assert batch.support.shape == (1, 0, 3, 32, 32)
    assert batch.valid.shape == (1, 0)
    with pytest.raises(DataError, match="different numbers of support frames"):
        collate([clip(8, 8, 2), clip(8, 8, 4)])
    with pytest.raises(DataError, match="one clip or more"):
        collate([])


def test_to_moves_every_tensor() -> None:
    def devices(batch: Batch) -> set[str]:
        values = [
            item
            for value in vars(batch).values()
            for item in (value if isinstance(value, list) else [value])
        ]
        return {value.device.type for value in values if isinstance(value, Tensor)}

    batch = collate([clip(8, 8), clip(9, 9)])
    assert devices(batch) == {"cpu"}
    assert devices(batch.to("meta")) == {"meta"}
    assert batch.to("meta").names == batch.names


def test_normalise_is_zero_in_the_padding() -> None:
    torch.manual_seed(0)
    frames = torch.randint(0, 256, (2, 3, 8, 10), dtype=torch.uint8)
    sizes = torch.tensor([[8, 4], [5, 10]])
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (MEAN, STD))
    expected = (frames.double() - mean) / std
    assert torch.allclose(normalise(frames).double(), expected, atol=1e-6)
    expected[0, :, :, 4:] = 0
    expected[1, :, 5:] = 0
    out = normalise(frames, sizes)
    assert out.dtype == torch.float32
    assert torch.allclose(out.double(), expected, atol=1e-6)
    support = torch.stack([frames, frames.flip(0)], 1)  # (B,K,3,H,W)
    both = normalise(support, sizes)
    assert torch.equal(both[:, 0], out)
    assert torch.equal(both[:, 1], normalise(frames.flip(0), sizes))
    assert torch.equal(normalise(frames[0]), normalise(frames)[0])
