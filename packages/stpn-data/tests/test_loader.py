from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_sources import FaultySource
from torch import Tensor

from stpn_data import workers
from stpn_data.batch import Batch
from stpn_data.clips import ClipDataset
from stpn_data.errors import DataError, WorkerDied
from stpn_data.index import VideoIndex
from stpn_data.loader import TrainingLoader, training_loader
from stpn_data.transforms import TrainTransform

MakeIndex = Callable[..., VideoIndex]


@pytest.fixture(autouse=True)
def light_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PRELOAD", "stpn_data.workers")


def take(loader: TrainingLoader, count: int) -> list[Batch]:
    with loader:
        return list(islice(loader, count))


def same(a: Batch, b: Batch) -> bool:
    def equal(x: object, y: object) -> bool:
        if isinstance(x, list | tuple):
            return len(x) == len(y) and all(map(equal, x, y))  # type: ignore[arg-type]
        return torch.equal(x, y) if isinstance(x, Tensor) else x == y  # type: ignore[arg-type]

    return all(equal(value, getattr(b, name)) for name, value in vars(a).items())


def test_same_batches_with_any_number_of_workers(make_index: MakeIndex) -> None:
    transform = TrainTransform((60, 70, 80), 120, crop_short_sides=(70,), crop_range=(50, 70))
    data = ClipDataset(make_index((9, 14)), transform, seed=5)
    alone, one, two, spawned = (
        take(training_loader(data, 4, seed=2, workers=n, start_method=method), 12)
        for n, method in ((0, "fork"), (1, "fork"), (2, "forkserver"), (3, "fork"))
    )
    assert all(map(same, alone, one))
    assert all(map(same, alone, two))
    assert all(map(same, alone, spawned))
    assert not same(alone[0], alone[5])  # the first batch of the next epoch


@pytest.mark.parametrize("count", [0, 2])
def test_resumes_at_any_batch(count: int) -> None:
    def loader(start: int) -> TrainingLoader:
        return training_loader(
            FaultySource(), 4, rank=1, world_size=2, workers=count, start_batch=start
        )

    walked = loader(0)
    batches = take(walked, 20)
    assert walked.next_batch == 20
    assert walked.batches_per_epoch == 8
    for start in (1, 7, 8, 13):
        resumed = loader(start)
        assert all(map(same, take(resumed, 3), batches[start : start + 3]))
        assert resumed.next_batch == start + 3


def test_batches_are_of_one_group_unless_told_otherwise() -> None:
    source = FaultySource(60)

    def mixed(by_aspect: bool) -> int:
        loader = training_loader(source, 4, workers=0, group_by_aspect=by_aspect)
        batches = take(loader, loader.batches_per_epoch)
        return sum(len(set(source.groups[batch.indices])) > 1 for batch in batches)

    assert mixed(True) == 0
    assert mixed(False) > 5


@pytest.mark.parametrize("count", [0, 2])
def test_no_global_random_generator_is_used(make_index: MakeIndex, count: int) -> None:
    def state() -> tuple[object, ...]:
        words = np.random.get_state()[1:3]  # noqa: NPY002
        return torch.get_rng_state().tolist(), [list(words[0]), words[1]], random.getstate()

    data = ClipDataset(make_index((9,)), TrainTransform((60,), 120), support_swap=0.5)
    before = state()
    take(training_loader(data, 2, workers=count), 6)
    assert state() == before
    for use in (lambda: torch.rand(1), lambda: np.random.rand(), random.random):  # noqa: NPY002
        use()  # the control: such a use is seen
        assert state() != before
        before = state()


def test_skipped_clips_are_told() -> None:
    loader = training_loader(FaultySource(), 4, workers=2)
    take(loader, 16)
    assert loader.skipped.named == ["before 3"]
    assert loader.skipped.total == 1


@pytest.mark.parametrize("count", [0, 2])
def test_pinning_happens_ahead_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    pinned: list[list[str]] = []

    def pin(batch: Batch) -> Batch:  # there may be no device here
        pinned.append(batch.names)
        return batch

    expected = take(training_loader(FaultySource(), 4, workers=0), 5)
    monkeypatch.setattr(Batch, "pin_memory", pin)
    batches = take(training_loader(FaultySource(), 4, workers=count, pin_memory=True), 5)
    assert all(map(same, batches, expected))
    assert pinned[:5] == [batch.names for batch in batches]
    broken = FaultySource(fault="exception", at=expected[1].indices[0])
    with pytest.raises(WorkerDied, match="ZeroDivisionError"):
        take(training_loader(broken, 4, workers=count, pin_memory=True), 3)


@dataclass
class Open:
    """What a loader may leave behind."""

    files: int
    maps: int


def still_open() -> Open:
    gc.collect()  # what earlier errors hold
    maps = Path("/proc/self/maps").read_text().count("stpn-batch")
    return Open(len(list(Path("/proc/self/fd").iterdir())), maps)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_neither_files_nor_memory_pile_up() -> None:
    with training_loader(FaultySource(), 4, workers=2) as loader:
        next(loader)
        before = still_open()
        held = list(islice(loader, 5))
        # the control: two maps a batch, each with its file
        assert still_open() == Open(before.files + 10, before.maps + 10)
        del held
        for _ in loader_batches(loader, 60):
            pass
        assert still_open() == before


def loader_batches(loader: TrainingLoader, count: int) -> Iterator[None]:
    for batch in islice(loader, count):
        del batch
        yield


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"workers": -1}, {"prefetch": 0}, {"start_batch": -1}, {"divisor": 0}],
)
def test_settings_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(DataError, match="training_loader needs timeout > 0"):
        training_loader(FaultySource(), 4, **wrong)


def test_too_little_data_for_one_batch_each() -> None:
    with pytest.raises(DataError, match="7 training samples do not fill one batch of 4 on each"):
        training_loader(FaultySource(7), 4, world_size=2)


def test_workers_can_import_what_they_preload() -> None:
    import stpn_data.preload as preload

    assert preload.__all__
