from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_core.settings import to_json
from stpn_data.errors import DataError
from stpn_vis.cli import main
from stpn_vis.export import command as module
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.predict_config import PredictConfig

from ..conftest import tiny_recipe


@pytest.fixture
def asked(small: TrainedSegmenter, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command would export."""
    calls: list[dict[str, Any]] = []

    def export(segmenter: TrainedSegmenter, out: Path, config: Any, real: Any) -> Any:
        calls.append({"out": out, "config": config, "real": real})
        return SimpleNamespace(files={})

    monkeypatch.setattr(module, "load_trained", lambda _: small)
    monkeypatch.setattr(module, "export", export)
    return calls


def test_a_run_knows_how_it_was_evaluated_and_on_what(
    asked: list[dict[str, Any]], painted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text(to_json(tiny_recipe(painted)))
    command = ["--out", str(tmp_path / "out"), "--count", "6"]
    sizes = ["--size", "64x96", "96x64", "--format", "onnx", "torch"]
    assert main(["export", str(tmp_path), *command, *sizes]) == 0
    assert main(["export", "--weights", str(tmp_path), *command, *sizes]) == 0
    first, second = asked
    assert first["config"] == second["config"]
    assert first["config"].predict == PredictConfig(
        policy="window", count=6, stride=1, short_side=48, long_side=64
    )
    assert first["config"].sizes == ((64, 96), (96, 64))
    assert first["config"].torch
    samples = first["real"]((64, 96))
    assert {(sample.frames, sample.size) for sample in samples} == {("real", (64, 85))}
    assert all(np.abs(sample.image[..., :85]).max() > 0.5 for sample in samples)
    assert not any(sample.image[..., 85:].any() for sample in samples)
    assert "no real frames" not in capsys.readouterr().out


def test_without_data_the_check_is_on_random_frames_and_says_so(
    asked: list[dict[str, Any]], clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = str(tmp_path / "w.safetensors")
    assert main(["export", weights, "--out", "x"]) == 0
    assert asked[0]["real"] is None
    assert asked[0]["config"].predict == PredictConfig()
    assert "no real frames at hand" in capsys.readouterr().out
    assert main(["export", weights, "--out", "x", "--frames", str(clip)]) == 0
    assert len(asked[1]["real"]((64, 96))) == 3
    with pytest.raises(DataError, match="absent"):
        main(["export", weights, "--out", "x", "--frames", "absent.mp4"])
    with pytest.raises(InputError, match="expected HEIGHTxWIDTH such as 608x1024"):
        main(["export", weights, "--out", "x", "--size=608"])
    assert len(asked) == 2
