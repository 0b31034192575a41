"""First weights: from timm, from a file, or an error that says how to get them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from stpn_core import create_encoder
from stpn_core.errors import InputError

SIZES: dict[str, Any] = {"embed_dim": 16, "depths": (1, 1), "num_heads": (2, 4)}


def test_no_network_says_what_to_download_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: Any, **options: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(InputError) as raised:
        create_encoder("swin_tiny", pretrained=True)
    text = str(raised.value)
    assert "huggingface.co/timm/swin_tiny_patch4_window7_224.ms_in1k" in text
    assert "swin_tiny_patch4_window7_224.pth" in text
    assert "weights=PATH" in text
    assert "Name or service not known" in text


def test_pretrained_goes_through_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """With timm's download replaced by its random start: the last norm moves to norms.3."""
    build = timm.create_model
    asked: dict[str, Any] = {}

    def offline(name: str, pretrained: bool, **options: Any) -> Any:
        asked.update(options, name=name, pretrained=pretrained)
        model = build(name, pretrained=False, **options)
        torch.nn.init.constant_(model.norm.weight, 3.0)
        return model

    monkeypatch.setattr(timm, "create_model", offline)
    encoder = create_encoder("swin_tiny", pretrained=True, drop_path=0.2)
    assert asked["pretrained"] is True
    assert asked["always_partition"] is True
    assert (encoder.norms["3"].weight == 3).all()
    assert (encoder.norms["2"].weight == 1).all()
    blocks = encoder.body.layers[3].blocks
    assert blocks[-1].drop_path1.drop_prob == pytest.approx(0.2)
    assert blocks[0].window_size == (7, 7)


def test_a_file_of_classification_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = create_encoder("swin", **SIZES)
    body = {
        k.removeprefix("body."): v for k, v in source.state_dict().items() if k.startswith("body.")
    }
    body |= {"norm.weight": torch.full((32,), 2.0), "norm.bias": torch.zeros(32)}
    body |= {"head.fc.weight": torch.zeros(5, 32), "head.fc.bias": torch.zeros(5)}
    path = tmp_path / "swin.safetensors"
    save_file(body, path)
    encoder = create_encoder("swin", **SIZES, weights=path)
    assert (encoder.norms["1"].weight == 2).all()
    for key, value in source.body.state_dict().items():
        assert torch.equal(encoder.body.state_dict()[key], value)


def test_a_file_of_another_size_is_refused(tmp_path: Path) -> None:
    other = create_encoder("swin", **{**SIZES, "embed_dim": 8})
    path = tmp_path / "other.safetensors"
    save_file({f"encoder.{k}": v for k, v in other.state_dict().items()}, path)
    with pytest.raises(InputError, match=r"encoder|shape"):
        create_encoder("swin", **SIZES, weights=path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        create_encoder("swin", **SIZES, weights=tmp_path / "nowhere.pth")


def test_released_weights_need_the_released_merge(golden: Any, shared: Path) -> None:
    _, info = golden("vod/g1_checkpoint_att")
    config = info["config"]
    sizes = {
        "embed_dim": config["embed_dims"],
        "depths": config["depths"],
        "num_heads": config["num_heads"],
        "mlp_ratio": config["mlp_ratio"],
        "weights": shared / "golden" / "vod" / "g1_checkpoint_att.pth",
    }
    with pytest.raises(InputError, match='prompt_merge="released"'):
        create_encoder("swin", **sizes)
    encoder = create_encoder("swin", **sizes, prompt_merge="released")
    assert encoder.norms["0"].weight.std() > 0
