from __future__ import annotations

import torch

from stpn_core.prompt_batch import stack_prompts


def test_rows_without_prompts_are_marked():
    first, last = torch.randn(1, 3, 8), torch.randn(1, 3, 8)
    prompts, has = stack_prompts([first, None, last])
    assert torch.equal(prompts, torch.cat([first, torch.zeros(1, 3, 8), last]))
    assert has.tolist() == [True, False, True]


def test_nothing_is_marked_where_all_rows_have_prompts():
    rows = [torch.randn(1, 3, 8), torch.randn(1, 3, 8)]
    prompts, has = stack_prompts(rows)
    assert torch.equal(prompts, torch.cat(rows))
    assert has is None
    assert stack_prompts([None, None]) == (None, None)


def test_deep_prompts_are_stacked_block_by_block():
    rows = [[torch.randn(1, 2, 4), torch.randn(1, 2, 8)], None]
    prompts, has = stack_prompts(rows)
    assert [tuple(p.shape) for p in prompts] == [(2, 2, 4), (2, 2, 8)]
    assert has.tolist() == [True, False]
