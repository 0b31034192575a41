from __future__ import annotations

import shutil
from collections import namedtuple

import pytest
import torch

from stpn_core.errors import StpnError
from stpn_vis.mask_store import MaskStore

Usage = namedtuple("Usage", "total used free")


def frames(count: int, queries: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(queries, 6, 8, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("limit", [0, 2000, 1 << 20])
def test_what_is_read_is_what_was_kept_wherever_it_lies(limit, tmp_path):
    kept = frames(6)
    with MaskStore(limit=limit, folder=str(tmp_path)) as store:
        for masks in kept:
            store.append(masks)
        assert len(store) == 6
        assert store.held <= limit
        for t in (5, 0, 3):
            assert torch.equal(store.read(t, [4, 0, 0]), kept[t][[4, 0, 0]])
    assert list(tmp_path.iterdir()) == []


def test_half_precision_takes_half_the_space():
    sizes = []
    for half in (False, True):
        with MaskStore(half=half) as store:
            store.append(frames(1)[0])
            sizes.append(store.held)
            torch.testing.assert_close(store.read(0, range(5)), frames(1)[0], atol=2e-3, rtol=1e-3)
    assert sizes[0] == 2 * sizes[1]


def test_frames_of_different_sizes(tmp_path):
    with MaskStore(limit=0, folder=str(tmp_path)) as store:
        store.append(torch.ones(3, 4, 4))
        store.append(2 * torch.ones(3, 2, 6))
        assert store.read(0, [1]).shape == (1, 4, 4)
        assert torch.equal(store.read(1, [2]), 2 * torch.ones(1, 2, 6))


def test_a_full_disk_is_said_before_it_is_full(tmp_path, monkeypatch):
    with MaskStore(limit=0, folder=str(tmp_path)) as store:
        store.append(torch.ones(3, 4, 4))
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1, 1, 1000))
        with pytest.raises(StpnError, match="no room for the masks of frame 1"):
            store.append(torch.ones(3, 4, 4))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with (
        MaskStore(limit=0, folder=str(tmp_path / "absent")) as store,
        pytest.raises(StpnError, match="absent"),
    ):
        store.append(torch.ones(1, 2, 2))
