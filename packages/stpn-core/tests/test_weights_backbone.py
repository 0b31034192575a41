"""Starting an encoder from a published file, a path, or weights of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.encoder import create_encoder
from stpn_core.errors import InputError
from stpn_core.weights import load_backbone, save_weights
from stpn_core.weights.backbone import PUBLISHED


def small(**options: Any) -> Any:
    sizes = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), **options}
    return create_encoder("swin", **sizes)


def timm_state(encoder: Any) -> dict[str, torch.Tensor]:
    """What a classifier with this backbone would publish: one norm, and a head."""
    body = {k: torch.randn_like(v) for k, v in encoder.body.state_dict().items()}
    norm = {"norm.weight": torch.full((16,), 3.0), "norm.bias": torch.zeros(16)}
    return {**body, **norm, "head.fc.weight": torch.zeros(3, 16)}


def test_classifier_leaves_the_other_norms_and_says_so(tmp_path: Path) -> None:
    encoder = small()
    state = timm_state(encoder)
    torch.save({"model": state}, tmp_path / "swin.pth")
    report = load_backbone(encoder, tmp_path / "swin.pth")
    assert report.missing == ("norms.0.weight", "norms.0.bias")
    assert encoder.norms["1"].weight.detach().eq(3).all()
    assert encoder.norms["0"].weight.detach().eq(1).all()
    assert "swin.pth" in str(report)


@pytest.mark.parametrize("prefix", ["", "encoder.", "stpn.encoder."])
def test_weights_of_ours(prefix: str, tmp_path: Path) -> None:
    source, target = small(), small()
    path = tmp_path / "w.safetensors"
    state = {(prefix or "encoder.") + k: v for k, v in source.state_dict().items()}
    save_weights(path, {**state, "fpn.x": torch.ones(1)}, {"task": "vod"})
    load_backbone(target, path)
    expected = source.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in target.state_dict().items())


def test_another_backbone_does_not_fit(tmp_path: Path) -> None:
    torch.save(timm_state(small(embed_dim=16)), tmp_path / "swin.pth")
    with pytest.raises(InputError, match=r"body\.patch_embed\.proj\.weight: file \(16, 3, 4, 4\)"):
        load_backbone(small(), tmp_path / "swin.pth")


def test_published_file_is_found_in_the_weights_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STPN_WEIGHTS", str(tmp_path))
    encoder = small()
    with pytest.raises(InputError) as caught:
        load_backbone(encoder, "coco_maskrcnn", architecture="swin_tiny")
    url = PUBLISHED["coco_maskrcnn"]["swin_tiny"]
    assert url in str(caught.value)
    assert str(tmp_path / "mask_rcnn_swin_tiny_patch4_window7.pth") in str(caught.value)
    torch.save(timm_state(encoder), tmp_path / url.rsplit("/", 1)[1])
    assert load_backbone(encoder, "coco_maskrcnn", architecture="swin_tiny").matched > 20


def test_an_encoder_without_published_weights_says_so() -> None:
    with pytest.raises(InputError, match=r"published for swin_tiny, .* not for 'vit_tiny'"):
        load_backbone(small(), "imagenet1k", architecture="vit_tiny")


def test_published_addresses_are_https() -> None:
    urls = [url for files in PUBLISHED.values() for url in files.values()]
    assert len(urls) == 7
    assert all(url.startswith("https://") and url.endswith(".pth") for url in urls)
