"""What an encoder gives to a task head.

B batch, C_i channels of level i, H_i and W_i its map size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True)
class Features:
    """Feature maps of one batch of images, finest level first.

    maps: one (B, C_i, H_i, W_i) per level, channels first.
    strides: image pixels per map cell of each level, for example (4, 8, 16, 32).
    """

    maps: tuple[Tensor, ...]
    strides: tuple[int, ...]


# torch.export and functorch see through registered containers only; the strides are part of the
# structure, the maps are its leaves.
def _flatten(features: Features) -> tuple[list[Any], tuple[int, ...]]:
    return list(features.maps), features.strides


def _unflatten(maps: Iterable[Any], strides: tuple[int, ...]) -> Features:
    return Features(tuple(maps), strides)


pytree.register_pytree_node(
    Features, _flatten, _unflatten, serialized_type_name="stpn_core.features.Features"
)
