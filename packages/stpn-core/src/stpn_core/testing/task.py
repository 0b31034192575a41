"""What every task model on top of STPN must hold, whatever its outputs are.

B batch, K support frames, H x W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from stpn_core.stpn import STPN
from stpn_core.testing.compare import (
    bit_equal,
    largest_difference,
    nans,
    noise,
    replace_row,
    without_gradient,
)


class TaskConformance:
    """Inherit and override `build`, `stpn`, `outputs` and `loss`.

    size: height and width of the test images.
    """

    size: ClassVar[tuple[int, int]] = (64, 96)

    def build(self) -> nn.Module:
        """A small model with random weights and a predictor that reads the support."""
        raise NotImplementedError

    def stpn(self, model: nn.Module) -> STPN:
        """The STPN inside the model."""
        raise NotImplementedError

    def outputs(
        self, model: nn.Module, images: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> Sequence[Sequence[Tensor]]:
        """The raw answer (logits, boxes, masks) for each row of the batch, before any threshold."""
        raise NotImplementedError

    def loss(
        self, model: nn.Module, images: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> Tensor:
        """A training loss on targets of the suite's own choice."""
        raise NotImplementedError

    # ---- material

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.build().eval()

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Images of three rows, two support frames each, of which both, none and one are valid."""
        torch.manual_seed(1)
        images = torch.randn(3, 3, *self.size)
        support = torch.randn(3, 2, 3, *self.size)
        return images, support, torch.tensor([[1, 1], [0, 0], [0, 1]]).bool()

    # ---- promises

    @torch.no_grad()
    def test_the_support_reaches_the_answer(self) -> None:
        model, (images, support, _) = self.model(), self.batch()
        with_support = self.outputs(model, images, support, None)
        without = self.outputs(model, images, None, None)
        assert not bit_equal(with_support[0], without[0])

    @torch.no_grad()
    def test_no_support_in_any_form_is_the_same(self) -> None:
        model, (images, support, valid) = self.model(), self.batch()
        expected = self.outputs(model, images, None, None)
        for row, answer in enumerate(self.outputs(model, images, support[:, :0], valid[:, :0])):
            assert bit_equal(answer, expected[row])
        for row, answer in enumerate(self.outputs(model, images, support, valid & False)):
            assert bit_equal(answer, expected[row])

    @torch.no_grad()
    def test_a_row_depends_on_its_own_row_only(self) -> None:
        model, (images, support, valid) = self.model(), self.batch()
        expected = self.outputs(model, images, support, valid)
        other = self.outputs(
            model, replace_row(images, 1, noise), replace_row(support, 1, noise), valid
        )
        for row in (0, 2):
            assert bit_equal(other[row], expected[row])

    @torch.no_grad()
    def test_invalid_frames_change_nothing(self) -> None:
        model, (images, support, valid) = self.model(), self.batch()
        expected = self.outputs(model, images, support, valid)
        broken = torch.where(valid[:, :, None, None, None], support, nans(support))
        for row, answer in enumerate(self.outputs(model, images, broken, valid)):
            assert bit_equal(answer, expected[row])

    @torch.no_grad()
    def test_a_batch_is_its_rows(self) -> None:
        model, (images, support, valid) = self.model(), self.batch()
        together = self.outputs(model, images, support, valid)
        for row in range(3):
            one = slice(row, row + 1)
            (alone,) = self.outputs(model, images[one], support[one], valid[one])
            assert largest_difference(together[row], alone) <= 1e-4

    def test_the_loss_reaches_every_parameter(self) -> None:
        model, (images, support, valid) = self.model(), self.batch()
        model.train()
        loss = self.loss(model, images, support, valid)
        assert loss.ndim == 0
        assert torch.isfinite(loss)
        loss.backward()
        assert without_gradient(model) == []
        predictor = self.stpn(model).predictor
        assert predictor is not None
        assert any(p.grad is not None and p.grad.any() for p in predictor.parameters())

    def test_a_batch_without_support_still_reaches_every_parameter(self) -> None:
        """Data-parallel training waits for a gradient of each."""
        model, (images, support, valid) = self.model(), self.batch()
        self.loss(model.train(), images, support, valid & False).backward()
        assert without_gradient(model) == []
