"""The auxiliary loss on the prompts."""

from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from stpn_core.presence import PromptPresence


def _zero_head(weight: float = 1.0) -> PromptPresence:
    head = PromptPresence(6, 4, weight)
    torch.nn.init.zeros_(head.linear.weight)
    torch.nn.init.zeros_(head.linear.bias)
    return head


def test_undecided_head_costs_log_2_times_its_weight():
    loss = _zero_head(0.5).loss(torch.randn(2, 5, 6), [torch.tensor([1]), torch.tensor([]).long()])
    assert_close(loss, torch.tensor(0.5 * math.log(2)))


def test_right_classes_cost_less_than_wrong_ones():
    head = _zero_head()
    head.linear.bias.data[:] = torch.tensor([5.0, -5.0, -5.0, -5.0])
    prompts = torch.randn(1, 5, 6)
    right = head.loss(prompts, [torch.tensor([0, 0])])
    wrong = head.loss(prompts, [torch.tensor([1])])
    assert right < 0.01 < wrong


def test_rows_without_prompt_do_not_count():
    head, prompts = PromptPresence(6, 4, 1.0), torch.randn(2, 5, 6)
    labels = [torch.tensor([2]), torch.tensor([3])]
    alone = head.loss(prompts[:1], labels[:1])
    has = torch.tensor([True, False])
    assert_close(head.loss(prompts, labels, has), alone)
    none = head.loss(prompts, labels, torch.tensor([False, False]))
    assert none.item() == 0
    none.backward()
    assert head.linear.weight.grad is not None
    assert not head.linear.weight.grad.any()


def test_deep_prompts_are_read_at_the_first_block():
    head, first = PromptPresence(6, 4), torch.randn(2, 5, 6)
    assert torch.equal(head([first, torch.randn(2, 5, 12)]), head(first))
