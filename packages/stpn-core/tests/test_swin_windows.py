"""Windows come apart and together again, and the mask says who may see whom."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.swin_transformer import SwinTransformerBlock

from stpn_core.swin_windows import partition, reverse, shift_mask


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([(7, 0), (7, 3), (4, 2), (12, 6)]))
def test_reverse_undoes_partition(height: int, width: int, form: tuple[int, int]) -> None:
    window, shift = form
    x = torch.arange(2.0 * height * width * 3).reshape(2, height, width, 3)
    windows = partition(x, window, shift)
    assert windows.shape[3] == window * window
    assert torch.equal(reverse(windows, window, shift, height, width), x)


@pytest.mark.parametrize("size", [(14, 21), (28, 28), (7, 7)])
def test_mask_is_timms_on_whole_windows(size: tuple[int, int]) -> None:
    block = SwinTransformerBlock(
        8, size, window_size=7, shift_size=3, always_partition=True, num_heads=1
    )
    expected = block.get_attn_mask()
    assert expected is not None
    assert torch.equal(shift_mask(*size, 7, 3, torch.device("cpu")), expected)


def test_padding_comes_before_the_roll() -> None:
    """The last window wraps to the map's first rows, not padding moved inside."""
    x = torch.arange(1.0, 9.0).reshape(1, 8, 1, 1)
    windows = partition(x, 7, 3)[0, :, 0].reshape(2, 7, 7)
    assert windows[0, :, 4].tolist() == [4, 5, 6, 7, 8, 0, 0]
    assert windows[1, :, 4].tolist() == [0, 0, 0, 0, 1, 2, 3]


def test_mask_follows_the_padded_map() -> None:
    assert torch.equal(
        shift_mask(8, 9, 7, 3, torch.device("cpu")), shift_mask(14, 14, 7, 3, torch.device("cpu"))
    )
