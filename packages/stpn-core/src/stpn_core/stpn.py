"""STPN: an encoder that takes prompts and a predictor that makes them from support frames.

Shapes: B batch, K support frames, H x W pixels, h x w the last layer's grid, C its channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpn_core.encoder import PromptedEncoder, Prompts
from stpn_core.errors import InputError
from stpn_core.features import Features
from stpn_core.ungraded_pass import uncached_autocast


class STPN(nn.Module):
    """Spatio-temporal prompting (paper sec. 4), for any encoder and predictor.

    encoder: shared by support frames (without prompts) and current frames (with prompts).
    predictor: None for the single-frame twin.
    support_grad: let gradients flow through the support frames too; the released code does not.
    """

    def __init__(
        self,
        encoder: PromptedEncoder,
        predictor: nn.Module | None,
        *,
        support_grad: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.predictor = predictor
        self.support_grad = support_grad

    def embed_support(self, frames: Tensor, valid: Tensor | None = None) -> Tensor:
        """Support frames (B, K, 3, H, W) to support tokens (B, K, h, w, C).

        valid (B, K) bool: frames marked False are replaced by zeros first, whatever they hold.
        Stochastic depth is never applied; gradients flow only with `support_grad`.
        """
        _check(frames, valid)
        if valid is not None:
            frames = frames.masked_fill(~valid[:, :, None, None, None], 0)
        graded = self.support_grad and torch.is_grad_enabled()
        with uncached_autocast(frames.device), torch.set_grad_enabled(graded):
            tokens = self.encoder.embed(frames.flatten(0, 1))
        return tokens.unflatten(0, frames.shape[:2])

    def predict_prompts(self, support: Tensor, valid: Tensor | None = None) -> Prompts:
        """Support tokens (B, K, h, w, C) to prompts (B, P, D0), or one such per block (deep)."""
        if self.predictor is None:
            raise InputError("this model has no prompt predictor: it is the single-frame twin")
        return self.predictor(support, valid)

    def encode(
        self, images: Tensor, prompts: Prompts | None, has_prompt: Tensor | None = None
    ) -> Features:
        """Encode images (B, 3, H, W) with given prompts.

        has_prompt (B,) bool: rows marked False take the un-prompted path exactly. None: every row
        has its prompts, and nothing in here depends on data (torch.compile, torch.export).
        """
        if prompts is None or has_prompt is None:
            return self.encoder(images, prompts)
        with_prompt = has_prompt.nonzero().squeeze(1)
        without = (~has_prompt).nonzero().squeeze(1)
        if not len(without):
            return self.encoder(images, prompts)
        if not len(with_prompt):
            return _keep_in_graph(self.encoder(images), prompts)
        prompted = self.encoder(images[with_prompt], _rows(prompts, with_prompt))
        plain = self.encoder(images[without])
        back = torch.cat([with_prompt, without]).argsort()
        maps = tuple(
            torch.cat([a, b])[back] for a, b in zip(prompted.maps, plain.maps, strict=True)
        )
        return Features(maps, prompted.strides)

    def forward(
        self, images: Tensor, support: Tensor | None = None, valid: Tensor | None = None
    ) -> Features:
        """Encode current frames (B, 3, H, W) with prompts from support frames (B, K, 3, H, W).

        valid (B, K) bool: which support frames exist; None means all. A row without any valid frame
        is encoded as by the plain backbone, and so is everything if there is no predictor, no
        support, or K = 0.
        """
        if self.predictor is None or support is None or support.shape[1] == 0:
            return self.encoder(images)
        _check(support, valid, images.shape[0])
        prompts = self.predict_prompts(self.embed_support(support, valid), valid)
        return self.encode(images, prompts, None if valid is None else valid.any(1))


def _check(frames: Tensor, valid: Tensor | None, batch: int | None = None) -> None:
    shape = tuple(frames.shape)
    if frames.ndim != 5 or (batch is not None and frames.shape[0] != batch):
        rows = "B" if batch is None else f"B={batch}"
        raise InputError(f"support frames must be ({rows}, K, 3, H, W), got {shape}")
    if valid is not None and (valid.shape != shape[:2] or valid.dtype != torch.bool):
        raise InputError(
            f"valid must be bool of shape {shape[:2]}, got {valid.dtype} of {tuple(valid.shape)}"
        )


def _rows(prompts: Prompts, index: Tensor) -> Prompts:
    if isinstance(prompts, Tensor):
        return prompts[index]
    return [p[index] for p in prompts]


def _keep_in_graph(features: Features, prompts: Prompts) -> Features:
    """Tie unused prompts to the result with weight zero.

    Data-parallel training waits for a gradient of every parameter; a batch without any support must
    give the predictor a zero, not nothing.
    """
    tensors = [prompts] if isinstance(prompts, Tensor) else list(prompts)
    if not (torch.is_grad_enabled() and any(p.requires_grad for p in tensors)):
        return features
    zero = sum(p.sum() * 0 for p in tensors)
    return Features((features.maps[0] + zero, *features.maps[1:]), features.strides)
