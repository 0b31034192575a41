"""What every prompted encoder must hold.

B batch, P prompts, H x W image.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stpn_core.encoder import PromptedEncoder, Prompts
from stpn_core.errors import InputError
from stpn_core.testing.compare import (
    bit_equal,
    largest_difference,
    nans,
    noise,
    pick_rows,
    replace_row,
    rows,
    score,
    without_gradient,
)


class EncoderConformance:
    """Inherit and override `build` and `plain`.

    deep: whether the prompts of these tests are deep (one set per block).
    size: height and width of the test images, best no multiple of anything.
    plain_size: height and width where `plain` is defined.
    """

    deep: ClassVar[bool] = False
    size: ClassVar[tuple[int, int]] = (45, 67)
    plain_size: ClassVar[tuple[int, int]] = (112, 112)
    num_prompts: ClassVar[int] = 3

    def build(self, *, drop_path: float = 0.0, checkpointing: bool = False) -> PromptedEncoder:
        """A small encoder with random weights, the same at every call after the same seed."""
        raise NotImplementedError

    def plain(self, encoder: PromptedEncoder, images: Tensor) -> Sequence[Tensor]:
        """The maps that the plain backbone gives for images of `plain_size`, by other means."""
        raise NotImplementedError

    # ---- material

    def encoder(self, **options: Any) -> PromptedEncoder:
        torch.manual_seed(0)
        encoder = self.build(**options)
        # biases and norms start as zeros and ones, behind which mistakes can hide
        for parameter in encoder.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
        return encoder.eval()

    def images(self, batch: int = 2, size: tuple[int, int] | None = None) -> Tensor:
        torch.manual_seed(1)
        return torch.randn(batch, 3, *(size or self.size))

    def prompts(
        self, encoder: PromptedEncoder, batch: int = 2, count: int | None = None
    ) -> Prompts:
        torch.manual_seed(2)
        count = self.num_prompts if count is None else count
        if self.deep:
            return [torch.randn(batch, count, dim) for dim in encoder.prompt_dims]
        return torch.randn(batch, count, encoder.prompt_dim)

    # ---- promises

    @torch.no_grad()
    def test_without_prompts_it_is_the_plain_backbone(self) -> None:
        encoder = self.encoder()
        images = self.images(size=self.plain_size)
        assert largest_difference(encoder(images), self.plain(encoder, images)) <= 1e-5

    @torch.no_grad()
    def test_maps_are_what_it_declares(self) -> None:
        encoder = self.encoder()
        features = encoder(self.images(), self.prompts(encoder))
        assert features.strides == encoder.strides == tuple(sorted(encoder.strides))
        assert tuple(m.shape[1] for m in features.maps) == encoder.channels
        for stride, found in zip(features.strides, features.maps, strict=True):
            for pixels, cells in zip(self.size, found.shape[2:], strict=True):
                assert cells * stride >= pixels
        assert encoder.embed(self.images()).shape[-1] == encoder.support_dim

    @torch.no_grad()
    def test_prompts_change_every_map(self) -> None:
        encoder = self.encoder()
        plain, prompted = encoder(self.images()), encoder(self.images(), self.prompts(encoder))
        for a, b in zip(plain.maps, prompted.maps, strict=True):
            assert (a - b).abs().max() > 1e-4

    @torch.no_grad()
    def test_map_sizes_do_not_depend_on_the_number_of_prompts(self) -> None:
        encoder = self.encoder()
        shapes = [m.shape for m in encoder(self.images()).maps]
        for count in (1, 4, 9):
            features = encoder(self.images(), self.prompts(encoder, count=count))
            assert [m.shape for m in features.maps] == shapes

    @torch.no_grad()
    def test_a_row_depends_on_its_own_row_only(self) -> None:
        encoder = self.encoder()
        images, prompts = self.images(3), self.prompts(encoder, 3)
        expected = rows(encoder(images, prompts), 0, 2)
        expected_embedding = rows(encoder.embed(images), 0, 2)
        for fill in (noise, nans):
            other, other_prompts = replace_row(images, 1, fill), replace_row(prompts, 1, fill)
            assert bit_equal(rows(encoder(other, other_prompts), 0, 2), expected)
            assert bit_equal(rows(encoder.embed(other), 0, 2), expected_embedding)

    @torch.no_grad()
    def test_a_batch_is_its_rows(self) -> None:
        encoder = self.encoder()
        images, prompts = self.images(), self.prompts(encoder)
        batch = encoder(images, prompts)
        for row in range(2):
            alone = encoder(images[row : row + 1], pick_rows(prompts, row))
            assert largest_difference(rows(batch, row), alone) <= 1e-5

    @torch.no_grad()
    def test_nothing_is_remembered(self) -> None:
        encoder = self.encoder()
        images = self.images()
        before = encoder(images)
        encoder(self.images(1, (32, 32)), self.prompts(encoder, 1))
        assert bit_equal(encoder(images), before)

    @torch.no_grad()
    def test_any_image_size(self) -> None:
        encoder = self.encoder()
        for size in ((1, 1), (3, 50), (33, 17)):
            images = self.images(1, size)
            features = encoder(images, self.prompts(encoder, 1))
            assert all(torch.isfinite(m).all() and m.numel() for m in features.maps)
            assert torch.isfinite(encoder.embed(images)).all()

    @torch.no_grad()
    def test_embedding_never_drops_paths(self) -> None:
        encoder = self.encoder(drop_path=0.6)
        images = self.images(4)
        expected, still = encoder.embed(images), encoder(images)
        encoder.train()
        assert bit_equal(encoder.embed(images), expected)
        assert not bit_equal(encoder(images), still)

    def test_gradients_reach_prompts_and_every_parameter(self) -> None:
        encoder = self.encoder()
        prompts = self.prompts(encoder)
        leaves = [prompts] if isinstance(prompts, Tensor) else list(prompts)
        for leaf in leaves:
            leaf.requires_grad_()
        score(encoder(self.images(), prompts)).backward()
        for leaf in leaves:
            assert leaf.grad is not None
            assert torch.isfinite(leaf.grad).all()
            assert (leaf.grad.flatten(1).abs().amax(1) > 0).all()
        assert without_gradient(encoder) == []

    def test_checkpointing_changes_nothing(self) -> None:
        plain, saving = self.encoder(), self.encoder(checkpointing=True)
        saving.load_state_dict(plain.state_dict())
        results = []
        for encoder in (plain, saving):
            encoder.train()
            prompts = self.prompts(encoder)
            features = encoder(self.images(), prompts)
            score(features).backward()
            results.append([*features.maps, *(p.grad for p in encoder.parameters())])
        assert largest_difference(results[1], results[0]) <= 1e-6

    def test_bfloat16_autocast(self) -> None:
        encoder = self.encoder()
        prompts = self.prompts(encoder)
        expected = encoder(self.images(), prompts)
        with torch.autocast("cpu", torch.bfloat16):
            features = encoder(self.images(), prompts)
            embedding = encoder.embed(self.images())
        assert largest_difference(features, expected) <= 0.1
        assert torch.isfinite(embedding).all()
        score(features).backward()
        assert without_gradient(encoder) == []

    def test_compiles_without_graph_breaks(self) -> None:
        encoder = self.encoder()
        images, prompts = self.images(), self.prompts(encoder)
        expected, expected_plain = encoder(images, prompts), encoder(images)
        torch.compiler.reset()
        compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
        features = compiled(images, prompts)
        assert largest_difference(features, expected) <= 1e-5
        score(features).backward()
        assert without_gradient(encoder) == []
        compiled = torch.compile(encoder, fullgraph=True, backend="eager")
        assert largest_difference(compiled(images), expected_plain) <= 1e-5
        torch.compiler.reset()

    @torch.no_grad()
    def test_exports(self) -> None:
        encoder = self.encoder()
        images, prompts = self.images(), self.prompts(encoder)
        program = torch.export.export(encoder, (images, prompts))
        assert largest_difference(program.module()(images, prompts), encoder(images, prompts)) == 0

    def test_copies_and_reloads(self) -> None:
        encoder = self.encoder()
        other = self.build().eval()
        other.load_state_dict(encoder.state_dict())
        with torch.no_grad():
            expected = encoder(self.images())
            assert bit_equal(other(self.images()), expected)
            assert bit_equal(copy.deepcopy(encoder)(self.images()), expected)

    def test_wrong_inputs_are_refused(self) -> None:
        encoder = self.encoder()
        images = self.images()
        sets = [torch.randn(2, self.num_prompts, dim) for dim in encoder.prompt_dims]
        wrong: list[Prompts] = [
            torch.randn(2, self.num_prompts, encoder.prompt_dim + 1),
            torch.randn(3, self.num_prompts, encoder.prompt_dim),
            torch.randn(self.num_prompts, encoder.prompt_dim),
            sets[:-1],
            [*sets[:-1], torch.randn(2, self.num_prompts, encoder.prompt_dims[-1] + 1)],
        ]
        for prompts in wrong:
            assert refused(encoder, images, prompts)
        for bad in (images[0], images[:, :2], images[..., :0]):
            assert refused(encoder, bad, None)
        assert not refused(encoder, images, sets)


def refused(encoder: PromptedEncoder, images: Tensor, prompts: Prompts | None) -> bool:
    """Whether the encoder refuses the input with an error for people."""
    try:
        encoder(images, prompts)
    except InputError as error:
        return bool(str(error))
    return False
