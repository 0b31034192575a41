from __future__ import annotations

import pytest

from stpn_data.tracking import Targets, find_targets

from .small import ANY


@pytest.fixture
def painted(make_index) -> Targets:
    """Targets of videos of 12 and 9 frames, white rectangles of classes 0 and 1."""
    return find_targets(make_index((12, 9)), ANY)
