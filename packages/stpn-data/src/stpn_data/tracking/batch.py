"""A clip to train a tracker on, and a batch of them.

B clips, n online templates, K support crops, T x T pixels of a template, S x S of a search crop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stpn_data.errors import DataError


@dataclass(frozen=True)
class TrackingClip:
    """Crops of one target. Pixels are RGB levels; normalise them on the device."""

    template: Tensor  # uint8 (3,T,T)
    online: Tensor  # uint8 (n,3,T,T)
    search: Tensor  # uint8 (3,S,S)
    support: Tensor  # uint8 (K,3,S,S) search crops of earlier frames
    valid: Tensor  # bool (K,) support crops that hold anything
    box: Tensor  # float32 (4,) x1, y1, x2, y2 in sides of the search crop; may reach outside of it
    positive: Tensor  # float32 () 1: the target is at `box`; 0: something else is
    label: int  # class of the target, a position in `TrackingDataset.classes`
    support_labels: Tensor  # int64 (m,) classes seen in the valid support crops, ascending
    name: str  # of the target, and the search frame
    skipped: tuple[str, ...] = ()  # "reason: where: what" for each draw this one stands in for


@dataclass(frozen=True)
class TrackingBatch:
    """B clips, stacked."""

    template: Tensor  # uint8 (B,3,T,T)
    online: Tensor  # uint8 (B,n,3,T,T)
    search: Tensor  # uint8 (B,3,S,S)
    support: Tensor  # uint8 (B,K,3,S,S)
    valid: Tensor  # bool (B,K)
    box: Tensor  # float32 (B,4)
    positive: Tensor  # float32 (B,)
    label: Tensor  # int64 (B,)
    support_labels: list[Tensor]  # int64 (m,) each
    names: list[str]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.search)

    @property
    def frames(self) -> Tensor:
        """The search crops, by the name that what is looked at has in every kind of batch."""
        return self.search

    def to(self, device: torch.device | str, non_blocking: bool = True) -> TrackingBatch:
        """The same batch with its tensors on `device`."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> TrackingBatch:
        """The same batch in page-locked memory, from where a copy to the device overlaps work."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> TrackingBatch:
        return replace(
            self,
            template=change(self.template),
            online=change(self.online),
            search=change(self.search),
            support=change(self.support),
            valid=change(self.valid),
            box=change(self.box),
            positive=change(self.positive),
            label=change(self.label),
            support_labels=[change(labels) for labels in self.support_labels],
        )


def collate_tracking(
    clips: Sequence[TrackingClip], divisor: int = 1, zeros: Callable[..., Tensor] = torch.zeros
) -> TrackingBatch:
    """Join clips of one shape. divisor: plays no part, crops are of one size as they come.

    zeros: makes the uint8 zero tensors that hold the crops. Raises DataError if shapes differ.
    """
    if not clips:
        raise DataError("a batch needs one clip or more")

    def stack(name: str) -> Tensor:
        parts = [getattr(clip, name) for clip in clips]
        shapes = {tuple(part.shape) for part in parts}
        if len(shapes) > 1:
            raise DataError(f"clips of one batch have different shapes of {name}: {shapes}")
        out = zeros(len(parts), *parts[0].shape, dtype=torch.uint8)
        for row, part in enumerate(parts):
            out[row] = part
        return out

    return TrackingBatch(
        template=stack("template"),
        online=stack("online"),
        search=stack("search"),
        support=stack("support"),
        valid=torch.stack([clip.valid for clip in clips]),
        box=torch.stack([clip.box for clip in clips]),
        positive=torch.stack([clip.positive for clip in clips]),
        label=torch.tensor([clip.label for clip in clips]),
        support_labels=[clip.support_labels for clip in clips],
        names=[clip.name for clip in clips],
        skipped=tuple(name for clip in clips for name in clip.skipped),
    )
