"""What a loader loads from, and what it hands out: two small contracts.

A source decides what a clip and a batch are; the loader only moves them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, TypeVar

from numpy.typing import NDArray
from torch import Tensor

Sample = tuple[int, int]  # epoch, position in the source


class LoadedBatch(Protocol):
    """A batch: a dataclass whose fields are tensors, lists of tensors, or plain values."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """Clips that could not be made and were replaced, with reasons."""
        ...

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory."""
        ...


B = TypeVar("B", bound=LoadedBatch)
B_co = TypeVar("B_co", bound=LoadedBatch, covariant=True)


class ClipSource(Protocol[B_co]):
    """What is loaded from: ClipDataset, TrackingDataset, or one's own. It must pickle."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: Sample, /) -> Any: ...

    @property
    def groups(self) -> NDArray[Any]:
        """(n,) samples of one group are batched together."""
        ...

    def name(self, position: int, epoch: int = 0) -> str:
        """What to call a sample in an error."""
        ...

    def collate(self, clips: Sequence[Any], divisor: int, zeros: Callable[..., Tensor], /) -> B_co:
        """Join clips. divisor: of height and width, where clips are padded to one size. zeros: makes
        uint8 tensors that reach another process without a copy, for what is large."""
        ...
