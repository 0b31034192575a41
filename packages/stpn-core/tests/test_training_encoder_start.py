from __future__ import annotations

import torch
from torch import Tensor

from stpn_core import create_encoder
from stpn_core.training.encoder_start import save_encoder, train_encoder
from stpn_core.weights import load_backbone

ARCH = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2)}


def test_an_encoder_learns_classes_and_another_starts_from_it(tmp_path):
    torch.manual_seed(0)
    encoder = create_encoder("swin", **ARCH)
    labels = torch.arange(8) % 2
    stripes = torch.linspace(0, 40, 56).sin().expand(3, 56, 56)
    images = torch.stack([stripes if label else stripes.transpose(1, 2) for label in labels])
    drawn: list[int] = []

    def draw() -> tuple[Tensor, Tensor]:
        drawn.append(1)
        return images, labels

    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    train_encoder(encoder, draw, 2, 12, lr=3e-3)
    assert len(drawn) == 12
    with torch.no_grad():
        tokens = encoder.embed(images).mean(dim=(1, 2))
    within = (tokens[0] - tokens[2]).norm()
    assert (tokens[0] - tokens[1]).norm() > 3 * within + 0.01
    assert any(not torch.equal(before[name], v) for name, v in encoder.state_dict().items())
    save_encoder(tmp_path / "start.safetensors", encoder)
    other = create_encoder("swin", **ARCH)
    load_backbone(other, tmp_path / "start.safetensors")
    for name, value in encoder.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
