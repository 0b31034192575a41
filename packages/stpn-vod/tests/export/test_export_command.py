from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_core.settings import to_json
from stpn_data.errors import DataError
from stpn_vod.cli import main
from stpn_vod.export import command as module
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig

from ..conftest import tiny_recipe


@pytest.fixture
def asked(small: TrainedDetector, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command would export."""
    calls: list[dict[str, Any]] = []

    def export(detector: TrainedDetector, out: Path, config: Any, real: Any) -> Any:
        calls.append({"out": out, "config": config, "real": real})
        return SimpleNamespace(files={})

    monkeypatch.setattr(module, "load_trained", lambda _: small)
    monkeypatch.setattr(module, "export", export)
    return calls


def test_a_run_knows_how_it_was_evaluated_and_on_what(
    asked: list[dict[str, Any]], shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(shapes)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text(to_json(recipe))
    command = ["export", str(tmp_path), "--out", str(tmp_path / "out"), "--count", "6"]
    assert main([*command, "--size", "64x96", "96x64", "--format", "onnx", "torch"]) == 0
    (call,) = asked
    assert call["config"].predict == PredictConfig(
        policy="window", count=6, stride=2, short_side=64, long_side=64
    )
    assert call["config"].sizes == ((64, 96), (96, 64))
    assert call["config"].onnx
    assert call["config"].torch
    samples = call["real"]((64, 96))
    assert {sample.frames for sample in samples} == {"real"}
    assert len(samples) > 1
    for sample in samples:
        assert (sample.image.shape, sample.size) == ((1, 3, 64, 96), (64, 64))
        assert not sample.image[..., 64:].any()
        assert np.abs(sample.image[..., :64]).max() > 0.5
    assert "no real frames" not in capsys.readouterr().out


def test_without_data_the_check_is_on_random_frames_and_says_so(
    asked: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text(to_json(tiny_recipe(tmp_path / "gone")))
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert asked[0]["real"] is None
    assert asked[0]["config"].predict.short_side == 64
    assert "no real frames at hand" in capsys.readouterr().out


def test_real_frames_of_ones_choice(
    asked: list[dict[str, Any]], clip: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "w.safetensors"
    assert main(["export", str(weights), "--out", "x", "--frames", str(clip)]) == 0
    assert len(asked[0]["real"]((64, 96))) == 3
    with pytest.raises(DataError, match="absent"):
        main(["export", str(weights), "--out", "x", "--frames", "absent.mp4"])


@pytest.mark.parametrize("size", ["608", "608x", "axb", "608×1024", "-1x5"])
def test_a_size_that_is_none(asked: list[dict[str, Any]], size: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected HEIGHTxWIDTH such as 608x1024"):
        main(["export", str(tmp_path / "w"), "--out", "x", f"--size={size}"])
    assert not asked
