"""The cheap form of prompted window attention against its literal definition."""

from __future__ import annotations

import pytest
import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from stpn_core import create_encoder
from stpn_core.swin import SwinEncoder
from stpn_core.swin_block import block_forward
from stpn_core.swin_windows import shift_mask


def literal_attention(
    block: SwinTransformerBlock, x: Tensor, prompts: Tensor
) -> tuple[Tensor, Tensor]:
    """Window by window and sample by sample: put the prompts in front of the window's tokens, run
    norm-ed tokens through qkv, softmax attention and proj; average the prompts over the windows."""
    batch, height, width, _ = x.shape
    window, shift = block.window_size[0], block.shift_size[0]
    padded_h, padded_w = height + -height % window, width + -width % window
    out = torch.zeros(batch, padded_h, padded_w, x.shape[-1], dtype=x.dtype)
    new_prompts = []
    count = prompts.shape[1]
    for b in range(batch):
        padded = torch.zeros(padded_h, padded_w, x.shape[-1], dtype=x.dtype)
        padded[:height, :width] = x[b]
        seen = []
        for top in range(0, padded_h, window):
            for left in range(0, padded_w, window):
                # where each token of this window lies in the map that was not rolled
                rows = torch.arange(top, top + window).add(shift).repeat_interleave(window)
                cols = torch.arange(left, left + window).add(shift).repeat(window)
                tokens = padded[rows % padded_h, cols % padded_w]
                side = 2 * (rows >= padded_h).int() + (cols >= padded_w).int()
                apart = side[:, None] != side[None]
                whole = literal_window(block, torch.cat([prompts[b], tokens]), apart, count)
                out[b, rows % padded_h, cols % padded_w] = whole[count:]
                seen.append(whole[:count])
        new_prompts.append(torch.stack(seen).mean(0))
    return out[:, :height, :width], torch.stack(new_prompts)


def literal_window(
    block: SwinTransformerBlock, tokens: Tensor, apart: Tensor, count: int
) -> Tensor:
    attn = block.attn
    q, k, v = attn.qkv(tokens).reshape(len(tokens), 3, attn.num_heads, -1).permute(1, 2, 0, 3)
    scores = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5
    scores[:, count:, count:] += attn._get_rel_pos_bias()[0]
    scores[:, count:, count:] += apart * -100.0
    return attn.proj((scores.softmax(-1) @ v).transpose(0, 1).flatten(1))


def literal_block(block: SwinTransformerBlock, x: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
    dx, dp = literal_attention(block, block.norm1(x), block.norm1(prompts))
    x, prompts = x + dx, prompts + dp
    return x + block.mlp(block.norm2(x)), prompts + block.mlp(block.norm2(prompts))


@pytest.mark.parametrize("size", [(14, 21), (10, 16), (4, 5), (1, 1)])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
@torch.no_grad()
def test_equals_the_literal_definition(size: tuple[int, int], shifted: bool, batch: int) -> None:
    torch.manual_seed(0)
    encoder = create_encoder("swin", embed_dim=16, depths=(2,), num_heads=(2,)).double()
    assert isinstance(encoder, SwinEncoder)
    block = encoder.body.layers[0].blocks[int(shifted)]
    torch.nn.init.normal_(block.attn.relative_position_bias_table)
    torch.nn.init.normal_(block.attn.qkv.weight, std=0.3)
    x = torch.randn(batch, *size, 16, dtype=torch.float64)
    prompts = torch.randn(batch, 3, 16, dtype=torch.float64)
    mask = shift_mask(*size, 7, 3, x.device) if shifted else None
    actual = block_forward(block, x, prompts, mask, True, False)
    expected = literal_block(block, x, prompts)
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, atol=1e-12, rtol=1e-12)
    # single precision, too, is only rounding away
    block.float()
    actual = block_forward(block, x.float(), prompts.float(), mask, True, False)
    for a, e in zip(actual, expected, strict=True):
        assert a is not None
        assert (a - e).abs().max() <= 1e-6 * max(1.0, e.abs().max().item())


@torch.no_grad()
def test_prompts_that_nobody_wants_change_no_patch() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("swin", embed_dim=16, depths=(2,), num_heads=(2,))
    assert isinstance(encoder, SwinEncoder)
    block = encoder.body.layers[0].blocks[1]
    x, prompts = torch.randn(2, 9, 12, 16), torch.randn(2, 3, 16)
    mask = shift_mask(9, 12, 7, 3, x.device)
    kept, _ = block_forward(block, x, prompts, mask, True, False)
    dropped, none = block_forward(block, x, prompts, mask, False, False)
    assert none is None
    torch.testing.assert_close(dropped, kept, atol=1e-6, rtol=1e-6)


def multiply_adds(encoder: SwinEncoder, *inputs: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(*inputs)
    return counter.get_total_flops()


def test_prompts_cost_few_multiply_adds() -> None:
    """Swin-T at 608 x 1024 with 7 prompts: at most 1.6 % more than without."""
    encoder = create_encoder("swin_tiny").to("meta")
    assert isinstance(encoder, SwinEncoder)
    images = torch.empty(1, 3, 608, 1024, device="meta")
    plain = multiply_adds(encoder, images)
    prompted = multiply_adds(encoder, images, torch.empty(1, 7, 96, device="meta"))
    assert plain > 2 * 55e9
    assert 1.005 < prompted / plain <= 1.016
