from __future__ import annotations

from multiprocessing import Pipe

import pytest
import torch
from clip_sources import FaultySource

from stpn_data.batch import Batch, collate
from stpn_data.sharing import Arena, receive_batch


def send(batch: Batch, arena: Arena) -> Batch:
    there, here = Pipe()
    arena.send(there, batch)
    arena.close()
    received = receive_batch(here, here.recv())
    there.close()
    here.close()
    return received


@pytest.mark.parametrize("keep", [2, 0])
def test_a_batch_arrives_as_it_was(keep: int) -> None:
    source = FaultySource()
    clips = [source[0, i] for i in range(6)]
    for clip in clips:
        object.__setattr__(clip, "support", clip.support[:keep])
        object.__setattr__(clip, "valid", clip.valid[:keep])
    arena = Arena()
    batch = collate(clips, 32, arena.zeros)
    received = send(batch, arena)
    for name, value in vars(collate(clips, 32)).items():
        got = getattr(received, name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(got, value), name
            assert got.dtype == value.dtype
        elif value and isinstance(value, list) and isinstance(value[0], torch.Tensor):
            assert all(map(torch.equal, got, value)), name
        else:
            assert got == value, name


def test_images_are_shared_not_copied() -> None:
    arena = Arena()
    batch = collate([FaultySource()[0, 0]], 32, arena.zeros)
    received = send(batch, arena)
    batch.frames.fill_(7)
    assert (received.frames == 7).all()
    received.support.fill_(9)
    assert (batch.support == 9).all()
