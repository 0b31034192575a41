from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from stpn_core.runs import RunDir, load_checkpoint, save_checkpoint
from stpn_core.training import capture_rng, restore_rng, seed_everything


def draw(own: torch.Generator) -> list[float]:
    """From every generator; the normal ones keep a second value for the next call."""
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),  # noqa: NPY002
        np.random.randn(),  # noqa: NPY002
        torch.rand(1).item(),
        torch.randn(1).item(),
        torch.rand(1, generator=own).item(),
    ]


def test_every_generator_goes_on_where_it_was_also_through_a_checkpoint(tmp_path: Path) -> None:
    own = torch.Generator().manual_seed(3)
    seed_everything(5)
    draw(own)
    with RunDir(tmp_path) as run:
        save_checkpoint(run, 1, {"rng": capture_rng({"own": own})})
    expected = draw(own)
    assert all(a != b for a, b in zip(draw(own), expected, strict=True))
    restore_rng(load_checkpoint(RunDir(tmp_path), 1).state["rng"], {"own": own})
    assert draw(own) == expected


def test_a_seed_gives_the_same_draws_and_each_rank_its_own() -> None:
    own = torch.Generator()

    def draws(seed: int, rank: int) -> list[float]:
        seed_everything(seed, rank)
        return draw(own)[:-1]

    assert draws(1, 0) == draws(1, 0)
    assert draws(1, 0) != draws(1, 1)
    assert draws(1, 0) != draws(2, 0)
    assert draws(0, 1) != draws(1, 0)


def test_generators_that_were_not_captured_are_refused() -> None:
    with pytest.raises(ValueError, match="own"):
        restore_rng(capture_rng(), {"own": torch.Generator()})


@pytest.mark.gpu
def test_the_gpu_generator_goes_on_where_it_was() -> None:
    state = capture_rng()
    expected = torch.rand(4, device="cuda")
    restore_rng(state)
    assert torch.equal(torch.rand(4, device="cuda"), expected)
