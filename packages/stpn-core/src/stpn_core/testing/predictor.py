"""What every prompt predictor must hold.

B batch, K support frames, P prompts.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.predictors import PromptPredictor
from stpn_core.testing.compare import (
    bit_equal,
    largest_difference,
    nans,
    noise,
    replace_row,
    rows,
    score,
    tensors,
    without_gradient,
)


class PredictorConformance:
    """Inherit and override `build`; set the class attributes to what it builds.

    prompt_dims: widths of the prompts, one for shallow ones.
    reads_support: False for predictors that ignore the support frames.
    """

    support_dim: ClassVar[int] = 32
    prompt_dims: ClassVar[tuple[int, ...]] = (16,)
    num_prompts: ClassVar[int] = 3
    reads_support: ClassVar[bool] = True

    def build(self) -> PromptPredictor:
        """A predictor with random weights."""
        raise NotImplementedError

    # ---- material

    def predictor(self) -> PromptPredictor:
        torch.manual_seed(0)
        predictor = self.build()
        for parameter in predictor.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        return predictor.eval()

    def support(self, batch: int = 3, frames: int = 4, grid: tuple[int, int] = (3, 4)) -> Tensor:
        torch.manual_seed(1)
        return torch.randn(batch, frames, *grid, self.support_dim)

    def valid(self) -> Tensor:
        """(3, 4): some, all, some."""
        return torch.tensor([[1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]]).bool()

    # ---- promises

    @torch.no_grad()
    def test_prompts_are_what_it_declares(self) -> None:
        predictor = self.predictor()
        prompts = predictor(self.support(), self.valid())
        assert [tuple(p.shape) for p in tensors(prompts)] == [
            (3, self.num_prompts, dim) for dim in self.prompt_dims
        ]
        assert all(torch.isfinite(p).all() for p in tensors(prompts))
        assert predictor.num_prompts == self.num_prompts
        assert predictor.support_dim == self.support_dim

    @torch.no_grad()
    def test_the_prompts_of_a_set_differ(self) -> None:
        for prompts in tensors(self.predictor()(self.support())):
            gaps = torch.cdist(prompts, prompts) + torch.eye(self.num_prompts)
            assert gaps.min() > 1e-4

    @torch.no_grad()
    def test_the_support_matters(self) -> None:
        predictor, support = self.predictor(), self.support()
        change = largest_difference(predictor(support), predictor(support.flip(0)))
        assert (change > 1e-3) == self.reads_support

    @torch.no_grad()
    def test_a_row_depends_on_its_own_row_only(self) -> None:
        predictor, support, valid = self.predictor(), self.support(), self.valid()
        for mask in (valid, None):
            expected = rows(predictor(support, mask), 0, 2)
            for fill in (noise, nans):
                other = replace_row(support, 1, fill)
                assert bit_equal(rows(predictor(other, mask), 0, 2), expected)

    @torch.no_grad()
    def test_a_batch_is_its_rows(self) -> None:
        predictor, support, valid = self.predictor(), self.support(), self.valid()
        batch = predictor(support, valid)
        for row in range(3):
            alone = predictor(support[row : row + 1], valid[row : row + 1])
            assert largest_difference(rows(batch, row), alone) <= 1e-5

    @torch.no_grad()
    def test_the_order_of_frames_does_not_matter(self) -> None:
        predictor, support, valid = self.predictor(), self.support(), self.valid()
        order = torch.tensor([2, 0, 3, 1])
        shuffled = predictor(support[:, order], valid[:, order])
        assert largest_difference(shuffled, predictor(support, valid)) <= 1e-5

    @torch.no_grad()
    def test_invalid_frames_change_nothing(self) -> None:
        predictor, support, valid = self.predictor(), self.support(), self.valid()
        expected = predictor(support, valid)
        for fill in (noise, nans):
            other = torch.where(valid[:, :, None, None, None], support, fill(support))
            assert bit_equal(predictor(other, valid), expected)
        without = predictor(support[:1, [0, 2, 3]])
        assert largest_difference(rows(expected, 0), without) <= 1e-5

    @torch.no_grad()
    def test_no_mask_means_all_valid(self) -> None:
        predictor, support = self.predictor(), self.support()
        everything = torch.ones(3, 4, dtype=torch.bool)
        assert largest_difference(predictor(support), predictor(support, everything)) <= 1e-5

    def test_a_row_without_valid_frames_stays_finite(self) -> None:
        predictor, support, valid = self.predictor(), self.support(), self.valid()
        valid[1] = False
        prompts = predictor(replace_row(support, 1, nans), valid)
        assert all(torch.isfinite(p).all() for p in tensors(prompts))
        score(prompts).backward()
        assert without_gradient(predictor) == []

    @torch.no_grad()
    def test_any_number_of_frames_and_any_grid(self) -> None:
        predictor = self.predictor()
        for frames, grid in ((1, (1, 1)), (2, (1, 9)), (14, (8, 8))):
            prompts = predictor(self.support(1, frames, grid))
            assert all(torch.isfinite(p).all() for p in tensors(prompts))
            assert {p.shape[1] for p in tensors(prompts)} == {self.num_prompts}

    def test_gradients_reach_every_parameter(self) -> None:
        predictor = self.predictor()
        support = self.support().requires_grad_()
        score(predictor(support, self.valid())).backward()
        assert without_gradient(predictor) == []
        if self.reads_support:
            assert support.grad is not None
            reached = support.grad.flatten(2).abs().amax(2) > 0
            assert torch.equal(reached, self.valid())

    def test_bfloat16_autocast(self) -> None:
        predictor = self.predictor()
        expected = predictor(self.support(), self.valid())
        with torch.autocast("cpu", torch.bfloat16):
            prompts = predictor(self.support(), self.valid())
        assert largest_difference(prompts, expected) <= 0.1
        score(prompts).backward()
        assert without_gradient(predictor) == []

    def test_compiles_without_graph_breaks(self) -> None:
        predictor = self.predictor()
        torch.compiler.reset()
        compiled = torch.compile(predictor, fullgraph=True, backend="aot_eager")
        for mask in (None, self.valid()):
            expected = predictor(self.support(), mask)
            prompts = compiled(self.support(), mask)
            assert largest_difference(prompts, expected) <= 1e-5
            score(prompts).backward()
        assert without_gradient(predictor) == []
        torch.compiler.reset()

    @torch.no_grad()
    def test_exports(self) -> None:
        predictor, inputs = self.predictor(), (self.support(), self.valid())
        program = torch.export.export(predictor, inputs)
        assert largest_difference(program.module()(*inputs), predictor(*inputs)) == 0

    def test_wrong_inputs_are_refused(self) -> None:
        predictor, support, valid = self.predictor(), self.support(), self.valid()
        wrong: list[tuple[Any, Any]] = [
            (support[0], None),
            (support[..., 1:], None),
            (support, valid[:, 1:]),
            (support, valid.float()),
        ]
        for bad in wrong:
            assert refused(predictor, *bad)
        assert not refused(predictor, support, valid)


def refused(predictor: PromptPredictor, support: Tensor, valid: Tensor | None) -> bool:
    """Whether the predictor refuses the input with an error for people."""
    try:
        predictor(support, valid)
    except InputError as error:
        return bool(str(error))
    return False
