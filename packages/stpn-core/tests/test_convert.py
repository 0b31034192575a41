"""`stpn convert`: who converts, what is printed, and what is never overwritten."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from stpn_core import convert
from stpn_core.cli import main
from stpn_core.plugins import find_plugins
from stpn_core.weights import load_backbone, read_checkpoint


def swin(prefix: str = "backbone.") -> dict[str, Tensor]:
    """A one-stage Swin in Microsoft's layout, with a head."""
    block = {
        **{f"norm{i}.{p}": torch.randn(4) for i in (1, 2) for p in ("weight", "bias")},
        "attn.relative_position_bias_table": torch.randn(169, 2),
        "attn.relative_position_index": torch.zeros(49, 49, dtype=torch.int64),
        "attn.qkv.weight": torch.randn(12, 4),
        "attn.qkv.bias": torch.randn(12),
        "attn.proj.weight": torch.randn(4, 4),
        "attn.proj.bias": torch.randn(4),
        "mlp.fc1.weight": torch.randn(16, 4),
        "mlp.fc1.bias": torch.randn(16),
        "mlp.fc2.weight": torch.randn(4, 16),
        "mlp.fc2.bias": torch.randn(4),
    }
    stem = {"proj.weight": torch.randn(4, 3, 4, 4), "proj.bias": torch.randn(4)}
    stem |= {"norm.weight": torch.randn(4), "norm.bias": torch.randn(4)}
    return {
        **{f"{prefix}patch_embed.{k}": v for k, v in stem.items()},
        **{f"{prefix}layers.0.blocks.0.{k}": v for k, v in block.items()},
        "rpn_head.rpn_cls.weight": torch.randn(3, 4, 1, 1),
    }


@pytest.fixture(autouse=True)
def no_other_converters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only converters that a test installs, whichever task packages are here."""

    def ours(group: str) -> list[object]:
        return [p for p in find_plugins(group) if p.distribution.startswith("testing-")]

    monkeypatch.setattr(convert, "find_plugins", ours)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    def add(name: str, code: str) -> None:
        info = tmp_path / f"testing_{name}-1.0.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: testing-{name}\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata)
        entry = f"[stpn.converters]\n{name} = converter_{name}:convert\n"
        (info / "entry_points.txt").write_text(entry)
        (tmp_path / f"converter_{name}.py").write_text(dedent(code))
        monkeypatch.delitem(sys.modules, f"converter_{name}", raising=False)

    return add


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "swin.pth"
    torch.save({"state_dict": swin(), "optimizer": {}, "meta": {"epoch": 1}}, path)
    return path


def test_converted_file_loads_and_remembers_its_source(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.safetensors"
    assert main(["convert", str(source), str(out)]) == 0
    printed = capsys.readouterr().out
    assert "read as timm" in printed  # one stage: the layouts are the same
    assert "(left out: task head)" in printed
    assert "(computed anew)" in printed
    assert "not used: 'optimizer'" in printed
    assert f"wrote {out}: 17 tensors" in printed
    with safe_open(out, framework="pt") as handle:
        metadata = handle.metadata()
    assert metadata["source"] == "swin.pth"
    assert metadata["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert json.loads(metadata["encoder"])["embed_dim"] == 4
    from stpn_core.encoder import create_encoder

    encoder = create_encoder("swin", **json.loads(metadata["encoder"]))
    assert load_backbone(encoder, out).matched == 17
    weight = swin()["backbone.patch_embed.proj.weight"]
    assert encoder.body.patch_embed.proj.weight.shape == weight.shape


def test_unknown_keys_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({**swin(), "surprise\x1b[2J.weight": torch.ones(1)}, tmp_path / "in.pth")
    assert main(["convert", str(tmp_path / "in.pth"), str(tmp_path / "out.safetensors")]) == 0
    captured = capsys.readouterr()
    assert r"unknown key 'surprise\x1b[2J.weight' left out" in captured.err
    assert "\x1b" not in captured.err + captured.out
    assert "(left out: unknown)" in captured.out


def test_nothing_is_overwritten_without_force(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"precious")
    assert main(["convert", str(source), str(out)]) == 2
    assert "--force replaces it" in capsys.readouterr().err
    assert out.read_bytes() == b"precious"
    assert main(["convert", str(tmp_path / "none.pth"), str(out), "--force"]) == 2
    assert out.read_bytes() == b"precious"
    assert main(["convert", str(source), str(out), "--force"]) == 0
    assert len(read_checkpoint(out).state) == 17


@pytest.mark.parametrize("name", ["out.pth", "no/folder/out.safetensors"])
def test_a_wrong_output_is_refused_before_reading(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "not-even-there.pth", str(tmp_path / name)]) == 2
    assert "not-even-there" not in capsys.readouterr().err


def test_layout_asked_for_must_be_the_one_found(source: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out.safetensors")
    assert main(["convert", str(source), out, "--from", "mmdet"]) == 2
    assert main(["convert", str(source), out, "--from", "timm"]) == 0


def test_weights_of_ours_are_not_converted_again(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    assert main(["convert", str(source), str(first)]) == 0
    assert main(["convert", str(first), str(second)]) == 2
    assert "STPN weights already" in capsys.readouterr().err


def test_nan_needs_a_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = swin()
    state["backbone.patch_embed.proj.bias"][0] = float("nan")
    torch.save(state, tmp_path / "in.pth")
    arguments = ["convert", str(tmp_path / "in.pth"), str(tmp_path / "out.safetensors")]
    assert main(arguments) == 2
    assert "'backbone.patch_embed.proj.bias'" in capsys.readouterr().err
    assert main([*arguments, "--allow-nan"]) == 0


TAKES = """
    import torch

    def convert(state, metadata):
        if "rpn_head.rpn_cls.weight" not in state:
            return None
        return {"rpn.score.weight": state["rpn_head.rpn_cls.weight"]}, {"task": "testing"}
"""


def test_a_task_that_knows_the_file_converts_it(
    source: Path, tmp_path: Path, install: Callable[[str, str], None]
) -> None:
    install("task", TAKES)
    install("passes", "def convert(state, metadata):\n    return None\n")
    out = tmp_path / "out.safetensors"
    assert main(["convert", str(source), str(out)]) == 0
    checkpoint = read_checkpoint(out, task="testing")
    assert set(checkpoint.state) == {"rpn.score.weight"}
    assert main(["convert", str(source), str(out), "--force", "--from", "mmdet"]) == 2
    other = tmp_path / "backbone.pth"
    torch.save({k: v for k, v in swin().items() if k.startswith("backbone")}, other)
    assert main(["convert", str(other), str(out), "--force"]) == 0
    assert "encoder.body.patch_embed.proj.weight" in read_checkpoint(out).state


def test_two_tasks_that_claim_a_file_are_an_error(
    source: Path,
    tmp_path: Path,
    install: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("one", TAKES)
    install("two", TAKES)
    assert main(["convert", str(source), str(tmp_path / "out.safetensors")]) == 2
    assert "testing-one and testing-two" in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()


def test_a_broken_converter_is_named_and_hides_nothing(
    source: Path,
    tmp_path: Path,
    install: Callable[[str, str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("broken", "raise ImportError('no libfoo')\n")
    assert main(["convert", str(source), str(tmp_path / "out.safetensors")]) == 0
    error = capsys.readouterr().err
    assert "testing-broken" in error
    assert "no libfoo" in error
