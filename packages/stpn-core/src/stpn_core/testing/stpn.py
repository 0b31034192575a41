"""What every STPN model must hold, whatever its encoder and predictor.

B batch, K support frames, H x W image.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.stpn import STPN
from stpn_core.testing.compare import (
    bit_equal,
    largest_difference,
    nans,
    noise,
    replace_row,
    rows,
    score,
    without_gradient,
)


class StpnConformance:
    """Inherit and override `build`.

    size: height and width of the test images.
    reads_support: False for predictors that ignore the support frames.
    """

    size: ClassVar[tuple[int, int]] = (45, 67)
    reads_support: ClassVar[bool] = True

    def build(self, *, drop_path: float = 0.0, support_grad: bool = False) -> STPN:
        """A small model with random weights."""
        raise NotImplementedError

    # ---- material

    def model(self, *, drop_path: float = 0.0, support_grad: bool = False) -> STPN:
        torch.manual_seed(0)
        model = self.build(drop_path=drop_path, support_grad=support_grad)
        for parameter in model.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        return model.eval()

    def images(self, batch: int = 3) -> Tensor:
        torch.manual_seed(1)
        return torch.randn(batch, 3, *self.size)

    def support(self, batch: int = 3, frames: int = 2) -> Tensor:
        torch.manual_seed(2)
        return torch.randn(batch, frames, 3, *self.size)

    def valid(self) -> Tensor:
        """(3, 2): both, none, one."""
        return torch.tensor([[1, 1], [0, 0], [0, 1]]).bool()

    # ---- promises

    @torch.no_grad()
    def test_without_support_it_is_the_plain_encoder(self) -> None:
        model, images = self.model(), self.images()
        plain = model.encoder(images)
        assert bit_equal(model(images), plain)
        assert bit_equal(model(images, self.support(frames=0)), plain)
        assert bit_equal(STPN(model.encoder, None)(images, self.support()), plain)

    @torch.no_grad()
    def test_prompts_change_the_features(self) -> None:
        model, images, support = self.model(), self.images(), self.support()
        prompted = model(images, support)
        assert largest_difference(prompted, model.encoder(images)) > 1e-4
        other = largest_difference(prompted, model(images, support.flip(0)))
        assert (other > 1e-6) == self.reads_support

    @torch.no_grad()
    def test_a_row_without_valid_frames_takes_the_plain_path(self) -> None:
        model, images = self.model(), self.images()
        features = model(images, self.support(), self.valid())
        assert bit_equal(rows(features, 1), model.encoder(images[1:2]))
        nothing = torch.zeros(3, 2, dtype=torch.bool)
        assert bit_equal(model(images, self.support(), nothing), model.encoder(images))

    @torch.no_grad()
    def test_rows_keep_their_order(self) -> None:
        model, images, support, valid = self.model(), self.images(), self.support(), self.valid()
        features = model(images, support, valid)
        for row in range(3):
            one = slice(row, row + 1)
            alone = model(images[one], support[one], valid[one])
            assert largest_difference(rows(features, row), alone) <= 1e-5

    @torch.no_grad()
    def test_a_row_depends_on_its_own_row_only(self) -> None:
        model, images, support, valid = self.model(), self.images(), self.support(), self.valid()
        for mask in (None, valid):
            expected = rows(model(images, support, mask), 0, 2)
            for fill in (noise, nans):
                other = model(replace_row(images, 1, fill), replace_row(support, 1, fill), mask)
                assert bit_equal(rows(other, 0, 2), expected)

    @torch.no_grad()
    def test_invalid_frames_change_nothing(self) -> None:
        model, images, support, valid = self.model(), self.images(), self.support(), self.valid()
        expected = model(images, support, valid)
        for fill in (noise, nans):
            other = torch.where(valid[:, :, None, None, None], support, fill(support))
            assert bit_equal(model(images, other, valid), expected)
        without = model(images[2:], support[2:, 1:])
        assert largest_difference(rows(expected, 2), without) <= 1e-5

    @torch.no_grad()
    def test_the_order_of_frames_does_not_matter(self) -> None:
        model, images, support, valid = self.model(), self.images(), self.support(), self.valid()
        flipped = model(images, support.flip(1), valid.flip(1))
        assert largest_difference(flipped, model(images, support, valid)) <= 1e-5

    @torch.no_grad()
    def test_the_parts_make_the_whole(self) -> None:
        model, images, support, valid = self.model(), self.images(), self.support(), self.valid()
        tokens = model.embed_support(support, valid)
        assert tokens.shape[:2] == (3, 2)
        assert tokens.shape[-1] == model.encoder.support_dim
        prompts = model.predict_prompts(tokens, valid)
        assert bit_equal(model.encode(images, prompts, valid.any(1)), model(images, support, valid))

    @torch.no_grad()
    def test_the_support_pass_never_drops_paths(self) -> None:
        model, support = self.model(drop_path=0.6), self.support()
        expected = model.embed_support(support)
        model.train()
        assert bit_equal(model.embed_support(support), expected)

    def test_gradients_reach_the_predictor_through_the_encoder(self) -> None:
        model = self.model()
        score(model(self.images(), self.support(), self.valid())).backward()
        assert without_gradient(model) == []
        assert model.predictor is not None
        assert any(p.grad is not None and p.grad.any() for p in model.predictor.parameters())

    def test_gradients_through_the_support_are_a_choice(self) -> None:
        for wanted in (False, True):
            model, support = self.model(support_grad=wanted), self.support().requires_grad_()
            score(model(self.images(), support)).backward()
            reached = support.grad is not None and bool(support.grad.any())
            assert reached == (wanted and self.reads_support)

    def test_a_batch_without_support_gives_the_predictor_zero_gradients(self) -> None:
        """Zero, not nothing: data-parallel training waits for every parameter."""
        model = self.model()
        nothing = torch.zeros(3, 2, dtype=torch.bool)
        score(model(self.images(), self.support(), nothing)).backward()
        assert without_gradient(model) == []
        assert model.predictor is not None
        assert not any(p.grad.any() for p in model.predictor.parameters() if p.grad is not None)

    def test_bfloat16_autocast(self) -> None:
        model = self.model()
        expected = model(self.images(), self.support(), self.valid())
        with torch.autocast("cpu", torch.bfloat16):
            features = model(self.images(), self.support(), self.valid())
        assert largest_difference(features, expected) <= 0.15
        score(features).backward()
        assert without_gradient(model) == []

    def test_compiles_without_graph_breaks(self) -> None:
        model = self.model()
        images, support = self.images(2), self.support(2)
        expected = model(images, support)
        torch.compiler.reset()
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        features = compiled(images, support)
        assert largest_difference(features, expected) <= 1e-5
        score(features).backward()
        assert without_gradient(model) == []
        torch.compiler.reset()

    @torch.no_grad()
    def test_exports(self) -> None:
        model, inputs = self.model(), (self.images(2), self.support(2))
        program = torch.export.export(model, inputs)
        assert largest_difference(program.module()(*inputs), model(*inputs)) == 0

    def test_wrong_inputs_are_refused(self) -> None:
        model, images, support = self.model(), self.images(), self.support()
        wrong: list[tuple[Tensor, Tensor | None]] = [
            (support[:, 0], None),
            (support[:2], None),
            (support, self.valid()[:, 1:]),
            (support, self.valid().float()),
        ]
        for bad in wrong:
            assert refused(model, images, *bad)
        assert not refused(model, images, support, self.valid())


def refused(model: STPN, images: Tensor, support: Tensor, valid: Tensor | None) -> bool:
    """Whether the model refuses the input with an error for people."""
    try:
        model(images, support, valid)
    except InputError as error:
        return bool(str(error))
    return False
