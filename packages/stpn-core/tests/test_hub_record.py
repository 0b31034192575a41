from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stpn_core.hub import RunRecord, record_of, without_places
from stpn_core.hub.record import last_part
from stpn_core.runs import MODEL_FILE, RunDir, save_checkpoint, save_config
from stpn_core.training import MetricsLog


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Two checkpoints; the first was validated twice, with a number missing once."""
    with RunDir(tmp_path / "run") as run:
        save_config(run, {"name": "toy", "data": {"root": "/home/me/pets"}})
        for step in (2, 4):
            files = {MODEL_FILE: lambda path: path.write_bytes(b"x")}
            save_checkpoint(run, step, {"w": torch.zeros(1)}, files=files)
        with MetricsLog(run.path / "metrics.jsonl") as log:
            log.write(2, loss=1.0)
            log.write(2, **{"val/AP": 0.1, "val/AP50": float("nan")})
            log.write(2, **{"val/AP": 0.2})
            log.write(3, **{"val/AP": 0.9})
    return run


def test_what_a_run_says_of_its_weights(run: RunDir) -> None:
    config = {"name": "toy", "data": {"root": "/home/me/pets"}}
    assert record_of(run.checkpoint(2) / MODEL_FILE) == RunRecord(2, config, {"AP": 0.2})
    assert record_of(run.checkpoint(4) / MODEL_FILE) == RunRecord(4, config, {})


def test_a_file_elsewhere_has_no_record(run: RunDir, tmp_path: Path) -> None:
    assert record_of(tmp_path / MODEL_FILE) is None
    assert record_of(tmp_path / "step-00000002" / MODEL_FILE) is None
    (run.path / "config.json").unlink()
    assert record_of(run.checkpoint(2) / MODEL_FILE) is None


def test_places_are_cut_to_their_last_part() -> None:
    config = {"init": r"C:\Users\me\start.safetensors", "data": {"root": "/home/me/pets/", "n": 3}}
    cut = without_places(config, ["init", "data.root", "data.n", "data.none", "none.root"])
    assert cut == {"init": "start.safetensors", "data": {"root": "pets", "n": 3}}
    assert config["data"] == {"root": "/home/me/pets/", "n": 3}  # the original stays
    assert [last_part(text) for text in ("", "imagenet1k", "a/b", ".")] == [
        "",
        "imagenet1k",
        "b",
        "",
    ]
