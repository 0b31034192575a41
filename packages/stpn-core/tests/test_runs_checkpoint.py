"""Checkpoints: whole or absent, verified, rotated."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.errors import InputError, NumericsError, StpnError
from stpn_core.runs import (
    CheckpointDamaged,
    RunDir,
    latest_complete,
    load_checkpoint,
    load_config,
    read_best,
    record_best,
    save_checkpoint,
    save_config,
)


def state(value: float = 1.0) -> dict[str, Any]:
    return {
        "weights": {"fc": torch.full((4, 5), value), "index": torch.arange(3)},
        "lr": [0.1, 2],
        "betas": (0.9, None, True),
        "name": "toy",
        3: {"nested": [torch.tensor(value, dtype=torch.bfloat16)]},
    }


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        save_checkpoint(run, 7, state(), files={"extra.txt": lambda path: path.write_text("more")})
    loaded = load_checkpoint(RunDir(tmp_path), 7)
    assert repr(loaded.state) == repr(state())
    assert (loaded.path / "extra.txt").read_text() == "more"
    names = {p.name for p in loaded.path.iterdir()}
    assert names == {"extra.txt", "manifest.json", "state.pt"}


def test_a_step_is_never_saved_twice(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        save_checkpoint(run, 7, state(1.0))
        with pytest.raises(StpnError, match="never overwritten"):
            save_checkpoint(run, 7, state(2.0))
        assert load_checkpoint(run, 7).state["weights"]["fc"][0, 0] == 1.0


def test_saving_needs_the_lock(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not locked"):
        save_checkpoint(RunDir(tmp_path), 1, state())


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1, 2): 3}, torch.float32, b"x"])
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, value: object) -> None:
    with RunDir(tmp_path) as run:
        with pytest.raises(TypeError, match=r"state\.a"):
            save_checkpoint(run, 1, {"a": value})
        assert run.steps() == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nothing_that_is_not_finite_is_saved(tmp_path: Path, value: float) -> None:
    spoilt = state()
    spoilt["weights"]["fc"][2, 3] = value
    with RunDir(tmp_path) as run:
        with pytest.raises(NumericsError, match=r"state\.weights\.fc") as refusal:
            save_checkpoint(run, 1, spoilt)
        assert refusal.value.exit_code == 3
        assert list(run.checkpoints.iterdir()) == []


def test_a_failing_writer_of_another_file_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise ValueError("no")

    with RunDir(tmp_path) as run:
        with pytest.raises(ValueError, match="no"):
            save_checkpoint(run, 1, state(), files={"a": fail})
        with pytest.raises(ValueError, match="cannot be the name"):
            save_checkpoint(run, 1, state(), files={"../a": fail})
        assert list(run.checkpoints.iterdir()) == []


def test_rotation_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        for step in range(10, 100, 10):
            save_checkpoint(run, step, state(step), keep=3)
            record_best(run, step, "AP50", {20: 0.8, 50: 0.7}.get(step, 0.1))
        assert run.steps() == [20, 70, 80, 90]
        assert load_checkpoint(run, "best").step == 20
        assert load_checkpoint(run, "auto").step == 90
        save_checkpoint(run, 100, state(), keep=None)
        assert run.steps() == [20, 70, 80, 90, 100]
        with pytest.raises(ValueError, match="keep"):
            save_checkpoint(run, 110, state(), keep=0)


def test_rotation_neither_counts_nor_deletes_damaged_ones(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        for step in (1, 2, 3):
            save_checkpoint(run, step, state())
        (run.checkpoint(3) / "state.pt").write_bytes(b"cut")
        save_checkpoint(run, 4, state(), keep=2)
        assert run.steps() == [2, 3, 4]


def test_best_is_the_best_of_one_metric(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        assert read_best(run) is None
        with pytest.raises(InputError, match=r"best\.json"):
            load_checkpoint(run, "best")
        with pytest.raises(InputError, match="save first"):
            record_best(run, 1, "AP", 0.5)
        for step in (1, 2, 3):
            save_checkpoint(run, step, state(), keep=None)
        assert not record_best(run, 1, "AP", float("nan"))
        assert record_best(run, 1, "AP", 0.5)
        assert not record_best(run, 2, "AP", 0.5)
        assert record_best(run, 1, "AP", 0.5)  # repeated after a crash
        assert record_best(run, 3, "AP", 0.6)
        assert record_best(run, 2, "loss", 1.0, higher_is_better=False)
        assert record_best(run, 1, "loss", 0.5, higher_is_better=False)
        (tmp_path / "best.json").write_text("{")
        with pytest.raises(InputError, match=r"best\.json"):
            read_best(run)


def test_config_lies_beside(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        assert load_config(run) is None
        save_config(run, {"lr": 0.1, "model": {"name": "swin"}})
        assert load_config(run) == {"lr": 0.1, "model": {"name": "swin"}}
        (tmp_path / "config.json").write_text("[]")
        with pytest.raises(InputError, match="list"):
            load_config(run)


def flips(run: RunDir, step: int, count: int) -> list[tuple[Path, int, int]]:
    """Random places in the files of a checkpoint: file, byte, bit."""
    files = sorted(run.checkpoint(step).iterdir())
    sizes = [path.stat().st_size for path in files]
    rng = random.Random(0)
    chosen = rng.choices(files, sizes, k=count)
    return [(path, rng.randrange(path.stat().st_size), rng.randrange(8)) for path in chosen]


def test_each_of_200_flipped_bits_is_refused_and_its_file_named(tmp_path: Path) -> None:
    accepted_by_torch = 0
    with RunDir(tmp_path) as run:
        save_checkpoint(run, 1, state(), files={"more.bin": lambda p: p.write_bytes(bytes(999))})
        for path, byte, bit in flips(run, 1, 200):
            good = path.read_bytes()
            bad = bytearray(good)
            bad[byte] ^= 1 << bit
            path.write_bytes(bad)
            with pytest.raises(CheckpointDamaged) as refusal:
                load_checkpoint(run, 1)
            assert str(path) in str(refusal.value)
            if path.name == "state.pt":
                try:
                    torch.load(path, weights_only=True)
                    accepted_by_torch += 1
                except Exception:
                    pass
            path.write_bytes(good)
        load_checkpoint(run, 1)
    # Control: without the manifest many of these would pass for the real thing.
    assert accepted_by_torch > 10


def test_a_flipped_bit_anywhere_in_the_manifest_is_refused(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        path = save_checkpoint(run, 1, state()) / "manifest.json"
        good = path.read_bytes()
        for position in range(0, len(good) * 8, 7):
            bad = bytearray(good)
            bad[position // 8] ^= 1 << position % 8
            path.write_bytes(bad)
            with pytest.raises(CheckpointDamaged, match=r"manifest\.json"):
                load_checkpoint(run, 1)


def test_a_checkpoint_of_another_step_is_refused(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        save_checkpoint(run, 1, state()).rename(run.checkpoint(2))
        assert latest_complete(run) is None
