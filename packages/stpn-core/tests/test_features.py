"""Features as a container."""

from __future__ import annotations

import torch
from torch.utils import _pytree as pytree

from stpn_core import Features


def test_maps_are_leaves_and_strides_are_structure() -> None:
    features = Features((torch.zeros(1), torch.ones(1)), (4, 8))
    doubled = pytree.tree_map(lambda t: 2 * t, features)
    assert isinstance(doubled, Features)
    assert doubled.strides == (4, 8)
    assert [m.item() for m in doubled.maps] == [0, 2]
