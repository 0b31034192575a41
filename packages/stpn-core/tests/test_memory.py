"""Support memory: a value that remembers, forgets and says what it lacks."""

from __future__ import annotations

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.memory import SupportMemory


def tokens(value: float) -> torch.Tensor:
    return torch.full((2, 3, 4), value)


@pytest.fixture
def memory() -> SupportMemory:
    held = SupportMemory()
    for index in (0, 8, 16):
        held = held.remember(index, tokens(index))
    return held


def test_gather_keeps_the_asked_order_and_repeats(memory: SupportMemory) -> None:
    support = memory.gather([16, 0, 16])
    assert support.shape == (1, 3, 2, 3, 4)
    assert support[0, :, 0, 0, 0].tolist() == [16, 0, 16]


def test_methods_leave_the_old_memory_as_it_was(memory: SupportMemory) -> None:
    later = memory.remember(24, tokens(24)).forget_before(9)
    assert memory.indices == (0, 8, 16)
    assert later.indices == (16, 24)
    assert later.tokens[0] is memory.tokens[2]


def test_a_missing_frame_is_named(memory: SupportMemory) -> None:
    with pytest.raises(InputError, match=r"\[9, 17\] are not in memory \(it holds \[0, 8, 16\]\)"):
        memory.gather([8, 9, 17])


def test_frames_come_in_order(memory: SupportMemory) -> None:
    with pytest.raises(InputError, match="frame 16 comes after frame 16"):
        memory.remember(16, tokens(0))
