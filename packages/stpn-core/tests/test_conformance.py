"""Every encoder and predictor of this package, and models made of them, against the suites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core import STPN, create_encoder, create_predictor
from stpn_core.encoder import PromptedEncoder
from stpn_core.predictors import PromptPredictor
from stpn_core.swin import SwinEncoder
from stpn_core.testing import (
    EncoderConformance,
    PredictorConformance,
    StpnConformance,
    TaskConformance,
)

SIZES: dict[str, Any] = {"embed_dim": 16, "depths": (2, 1, 1), "num_heads": (2, 4, 8)}
SMALLER: dict[str, Any] = {"embed_dim": 16, "depths": (2, 1), "num_heads": (2, 4)}
SMALLEST: dict[str, Any] = {**SMALLER, "depths": (1, 1)}


class TestSwin(EncoderConformance):
    sizes = SIZES

    def build(self, **options: Any) -> PromptedEncoder:
        return create_encoder("swin", **self.sizes, **options)

    def plain(self, encoder: PromptedEncoder, images: Tensor) -> Sequence[Tensor]:
        """timm's own forward, and the output norms."""
        assert isinstance(encoder, SwinEncoder)
        stages = encoder.body.forward_intermediates(images, intermediates_only=True)
        normed = (encoder.norms[str(i)](m.permute(0, 2, 3, 1)) for i, m in enumerate(stages))
        return [m.permute(0, 3, 1, 2) for m in normed]


class TestSwinDeep(TestSwin):
    sizes = SMALLER
    deep = True


class TestSwinReleasedMerge(TestSwin):
    def build(self, **options: Any) -> PromptedEncoder:
        return create_encoder("swin", **SMALLEST, prompt_merge="released", **options)


class TestTransformerPredictor(PredictorConformance):
    name = "transformer"

    def build(self) -> PromptPredictor:
        return create_predictor(
            self.name, support_dim=32, prompt_dims=self.prompt_dims[0], num_prompts=3
        )


class TestMixerPredictor(TestTransformerPredictor):
    name = "mixer"


class TestAttentionPredictor(TestTransformerPredictor):
    name = "attention"


class TestAveragePredictor(TestTransformerPredictor):
    name = "average"


class TestStaticPredictor(TestTransformerPredictor):
    name = "static"
    reads_support = False


class TestDeepTransformerPredictor(TestTransformerPredictor):
    prompt_dims = (16, 16, 32)

    def build(self) -> PromptPredictor:
        return create_predictor(
            self.name, support_dim=32, prompt_dims=self.prompt_dims, num_prompts=3
        )


class TestDeepStaticPredictor(TestDeepTransformerPredictor):
    name = "static"
    reads_support = False


class TestShallowSwinWithAttention(StpnConformance):
    name = "attention"
    deep = False
    depths = (2, 1)

    def build(self, *, drop_path: float = 0.0, support_grad: bool = False) -> STPN:
        sizes = {**SMALLER, "depths": self.depths}
        encoder = create_encoder("swin", **sizes, drop_path=drop_path)
        predictor = create_predictor(
            self.name,
            support_dim=encoder.support_dim,
            prompt_dims=encoder.prompt_dims if self.deep else encoder.prompt_dim,
            num_prompts=3,
        )
        return STPN(encoder, predictor, support_grad=support_grad)


class TestDeepSwinWithTransformer(TestShallowSwinWithAttention):
    name = "transformer"
    deep = True


class TestShallowSwinWithStatic(TestShallowSwinWithAttention):
    name = "static"
    depths = (1, 1)
    reads_support = False


class Classifier(nn.Module):
    """The smallest task: one linear layer on the mean of the last map."""

    def __init__(self) -> None:
        super().__init__()
        encoder = create_encoder("swin", **SMALLER)
        predictor = create_predictor("attention", support_dim=32, prompt_dims=16)
        self.stpn = STPN(encoder, predictor)
        self.heads = nn.ModuleList(nn.Linear(dim, 5) for dim in encoder.channels)

    def forward(self, *inputs: Any) -> Tensor:
        maps = self.stpn(*inputs).maps
        scores = (h(m.mean((2, 3))) for h, m in zip(self.heads, maps, strict=True))
        return torch.stack(list(scores)).sum(0)


class TestClassifier(TaskConformance):
    def build(self) -> nn.Module:
        return Classifier()

    def stpn(self, model: nn.Module) -> STPN:
        assert isinstance(model, Classifier)
        return model.stpn

    def outputs(self, model: nn.Module, *inputs: Tensor | None) -> list[list[Tensor]]:
        return [[scores] for scores in model(*inputs)]

    def loss(self, model: nn.Module, *inputs: Tensor | None) -> Tensor:
        return F.cross_entropy(model(*inputs), torch.tensor([0, 1, 2]))


def test_the_suite_notices_a_leak_between_rows() -> None:
    """Control: a predictor that averages over the batch must fail."""

    class Leaky(PromptPredictor):
        def __init__(self) -> None:
            super().__init__()
            self.support_dim, self.num_prompts = 32, 3
            self.inner = create_predictor(
                "attention", support_dim=32, prompt_dims=16, num_prompts=3
            )

        def forward(self, support: Tensor, valid: Tensor | None = None) -> Tensor:
            prompts = self.inner(support, valid)
            assert isinstance(prompts, Tensor)
            return prompts + 1e-6 * prompts.mean(0)

    class Suite(PredictorConformance):
        def build(self) -> PromptPredictor:
            return Leaky()

    caught = False
    try:
        Suite().test_a_row_depends_on_its_own_row_only()
    except AssertionError:
        caught = True
    assert caught


def test_the_suite_notices_remembered_prompts() -> None:
    """Control: an encoder that keeps the last prompts must fail."""

    class Remembering(SwinEncoder):
        kept: Tensor | None = None

        def forward(self, images: Tensor, prompts: Any = None) -> Any:
            if prompts is not None:
                self.kept = prompts
            kept = None if self.kept is None else self.kept[:1].expand(len(images), -1, -1)
            return super().forward(images, kept)

    class Suite(TestSwin):
        def build(self, **options: Any) -> PromptedEncoder:
            made = create_encoder("swin", **SIZES)
            made.__class__ = Remembering
            return made

    caught = False
    try:
        Suite().test_nothing_is_remembered()
    except AssertionError:
        caught = True
    assert caught


def test_numbers_of_threads_do_not_change_the_bits() -> None:
    encoder = create_encoder("swin", **SIZES).eval()
    images = torch.randn(2, 3, 64, 64)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(encoder(images).maps[-1])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)
