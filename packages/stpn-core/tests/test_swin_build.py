"""Swin by name: sizes, options, and what cannot be built."""

from __future__ import annotations

import pytest

from stpn_core import create_encoder
from stpn_core.errors import InputError
from stpn_core.swin_build import swin_sizes


@pytest.mark.parametrize(
    ("name", "dim", "blocks", "millions"),
    [
        ("swin_tiny", 96, 12, 27.5),
        ("swin_small", 96, 24, 48.8),
        ("swin_base", 128, 24, 86.7),
        ("swin_large", 192, 24, 195.0),
    ],
)
def test_published_sizes(name: str, dim: int, blocks: int, millions: float) -> None:
    import torch
    from timm.models.swin_transformer import SwinTransformer

    from stpn_core.swin import SwinEncoder

    sizes = swin_sizes(name)
    # no storage: the large one has 200 M parameters
    body = SwinTransformer(
        embed_dim=sizes.embed_dim,
        depths=sizes.depths,
        num_heads=sizes.num_heads,
        num_classes=0,
        always_partition=True,
        strict_img_size=False,
        weight_init="skip",
        device=torch.device("meta"),
    )
    encoder = SwinEncoder(body)
    assert encoder.prompt_dim == dim
    assert encoder.channels == (dim, 2 * dim, 4 * dim, 8 * dim)
    assert encoder.strides == (4, 8, 16, 32)
    assert len(encoder.prompt_dims) == blocks
    count = sum(p.numel() for p in encoder.parameters())
    assert abs(count / 1e6 - millions) < 0.1


def test_window_of_named_sizes() -> None:
    assert swin_sizes("swin_base", window=12).window == 12
    assert swin_sizes("swin", embed_dim=8, depths=[1], num_heads=[2]).depths == (1,)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("swin_huge", {}, "unknown encoder 'swin_huge'"),
        ("swin_tiny", {"embed_dim": 8}, "takes no option 'embed_dim'"),
        ("swin", {"embed_dims": 8}, "takes no option 'embed_dims'"),
        ("swin", {"depths": (2, 2)}, "differ in length"),
        ("swin", {"embed_dim": 10}, "stage 0: 10 channels do not split over 3 heads"),
        ("swin", {"prompt_merge": "both"}, "prompt_merge"),
        ("swin", {"window": 1}, "window"),
        ("swin", {"window": 12, "pretrained": True}, "no pretrained weights"),
    ],
)
def test_what_cannot_be_built(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_encoder(name, **options)  # type: ignore[arg-type]
