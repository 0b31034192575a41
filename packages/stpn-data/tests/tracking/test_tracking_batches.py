"""Clips of a tracker through the loader: the same pool, the same promises."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
import torch
from clip_sources import fail

from stpn_data import workers
from stpn_data.errors import DataError, WorkerDied
from stpn_data.loader import training_loader
from stpn_data.sharing import Arena
from stpn_data.tracking import (
    CropSettings,
    Sampling,
    TargetRule,
    TrackingBatch,
    TrackingDataset,
    collate_tracking,
    find_targets,
)


@pytest.fixture(autouse=True)
def light_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PRELOAD", "stpn_data.workers")


@pytest.fixture
def data(make_index) -> TrackingDataset:
    targets = find_targets(make_index((12, 9)), TargetRule(1, 1))
    crops = CropSettings(template_size=16, search_size=32)
    sampling = Sampling("trident", online=2)
    return TrackingDataset([targets], sampling=sampling, crops=crops, samples_per_epoch=17, seed=2)


def take(loader, count: int) -> list[TrackingBatch]:
    with loader:
        return list(islice(loader, count))


def same(a: TrackingBatch, b: TrackingBatch) -> bool:
    def equal(x, y) -> bool:
        if isinstance(x, list | tuple):
            return len(x) == len(y) and all(map(equal, x, y))
        return torch.equal(x, y) and x.dtype == y.dtype if isinstance(x, torch.Tensor) else x == y

    return all(equal(value, getattr(b, name)) for name, value in vars(a).items())


def test_batches_are_stacked_clips(data):
    clips = [data[0, at] for at in range(4)]
    batch = collate_tracking(clips)
    assert len(batch) == 4
    for name in ("template", "online", "search", "support", "valid", "box", "positive"):
        assert torch.equal(getattr(batch, name)[2], getattr(clips[2], name)), name
    assert batch.label.tolist() == [clip.label for clip in clips]
    assert batch.label.dtype == torch.int64
    assert torch.equal(batch.support_labels[3], clips[3].support_labels)
    assert batch.names == [clip.name for clip in clips]
    moved = batch.to("meta")
    assert moved.box.device.type == moved.support_labels[0].device.type == "meta"
    with pytest.raises(DataError, match="one clip or more"):
        collate_tracking([])
    object.__setattr__(clips[1], "search", clips[1].search[:, :8])
    with pytest.raises(DataError, match="different shapes of search"):
        collate_tracking(clips)


def test_same_batches_with_any_number_of_workers_and_from_any_start(data):
    alone = take(training_loader(data, 4, seed=1, workers=0), 6)
    for count in (1, 2):
        loader = training_loader(data, 4, seed=1, workers=count, start_method="fork")
        assert loader.batches_per_epoch == 4
        assert all(map(same, take(loader, 6), alone))
    resumed = take(
        training_loader(data, 4, seed=1, workers=2, start_method="fork", start_batch=3), 3
    )
    assert all(map(same, resumed, alone[3:]))
    assert not same(alone[0], alone[4])  # the next epoch has other clips


def test_crops_are_shared_not_copied(data):
    arena = Arena()
    collate_tracking([data[0, 0]], zeros=arena.zeros)
    assert len(arena.files) == 4
    arena.close()


def test_draws_that_failed_are_told_by_the_loader(data):
    data.pool.sets[0].index.frame_path(4).unlink()
    told = [training_loader(data, 4, workers=count, start_method="fork") for count in (0, 2)]
    batches = [take(loader, 8) for loader in told]
    assert all(map(same, *batches))
    assert told[0].skipped.named == told[1].skipped.named
    assert told[0].skipped.by_reason == told[1].skipped.by_reason
    unreadable = [entry for entry in told[0].skipped.named if "padding" not in entry]
    assert unreadable
    assert all(entry.startswith("unreadable: v0/000004: ") for entry in unreadable)


@dataclass
class Faulty:
    """A tracking data set that fails at one position of epoch 0."""

    data: TrackingDataset
    fault: str
    at: int

    def __post_init__(self) -> None:
        self.collate = self.data.collate

    def __len__(self) -> int:
        return len(self.data)

    @property
    def groups(self) -> np.ndarray:
        return self.data.groups

    def name(self, position: int, epoch: int = 0) -> str:
        return self.data.name(position, epoch)

    def __getitem__(self, at: tuple[int, int]):
        if at == (0, self.at):
            fail(self.fault)
        return self.data[at]


def test_a_worker_that_dies_is_an_error_that_names_the_clip(data):
    for fault, error, message in (
        (
            "SIGKILL",
            WorkerDied,
            r"was ended by SIGKILL.* while loading v\d#\d: \d+, .*\(epoch 0",
        ),
        ("bad input", DataError, "000007.jpg is damaged"),
    ):
        at = training_loader(data, 4, workers=0).order.batch(1)[2][1]
        loader = training_loader(Faulty(data, fault, at), 4, workers=2, start_method="fork")
        with pytest.raises(error, match=message):
            take(loader, 4)
    assert (
        len(take(training_loader(Faulty(data, "", at), 4, workers=2, start_method="fork"), 4)) == 4
    )
