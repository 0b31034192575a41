"""MixFormer (Cui et al., CVPR 2022) with a prompted CvT: one target, found in a search region.

B sequences, T templates, K support frames, C channels of the last stage, h x w the search map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stpn_core.cvt import CvtEncoder
from stpn_core.encoder import Prompts
from stpn_core.errors import InputError
from stpn_core.presence import PromptPresence
from stpn_core.ungraded_pass import uncached_autocast
from stpn_vot.corner_head import CornerHead
from stpn_vot.score_head import ScoreHead
from stpn_vot.template_cache import TemplateCache, encode_templates


@dataclass(frozen=True, eq=False)
class Located:
    """Where the target is.

    boxes (B, 4): x1 y1 x2 y2 in sides of the search region, perhaps unordered.
    scores (B,): logits that it is there; None for a tracker without a score head.
    """

    boxes: Tensor
    scores: Tensor | None


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the heads look at.

    features (B, C, h, w): the search map. prompts: those it was made with, None for none.
    has_prompt (B,) bool: rows that had any; None for all.
    """

    features: Tensor
    cache: TemplateCache
    prompts: Prompts | None
    has_prompt: Tensor | None


class MixFormer(nn.Module):
    """Tracker network: templates are encoded into a cache, which every search region looks at.

    score_head: None for a tracker of the first training stage, which gives boxes only.
    predictor: makes prompts from search maps of past frames; None for the twin without prompts,
        which is MixFormer itself. presence: auxiliary task of the prompts in training.
    support_grad: let gradients flow through support frames.
    """

    def __init__(
        self,
        encoder: CvtEncoder,
        box_head: CornerHead,
        score_head: ScoreHead | None,
        predictor: nn.Module | None,
        presence: PromptPresence | None = None,
        *,
        support_grad: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.box_head = box_head
        self.score_head = score_head
        self.predictor = predictor
        self.presence = presence
        self.support_grad = support_grad

    def encode_templates(self, templates: Tensor) -> TemplateCache:
        """Templates (B, T, 3, H, W), the first one and the online ones, as search regions use them."""
        return encode_templates(self.encoder, templates)

    def encode_search(
        self,
        search: Tensor,
        cache: TemplateCache,
        prompts: Prompts | None = None,
        has_prompt: Tensor | None = None,
    ) -> Tensor:
        """Search regions (B, 3, H, W) to maps (B, C, h, w).

        prompts: (B, P, D0), or one (B, P, D_i) per block. None is MixFormer, bit for bit.
        has_prompt (B,) bool: rows marked False take that path; None: all rows have their prompts.
        """
        if prompts is None or has_prompt is None or bool(has_prompt.all()):
            return self.encoder(search, prompts, cache.blocks).maps[-1]
        parts = []
        marked, plain = (rows.nonzero().squeeze(1) for rows in (has_prompt, ~has_prompt))
        for rows, given in ((marked, _rows(prompts, marked)), (plain, None)):
            if len(rows):
                blocks = cache.rows(rows).blocks
                parts.append(self.encoder(search[rows], given, blocks).maps[-1])
        found = torch.cat(parts)[torch.cat([marked, plain]).argsort()]
        # data-parallel training waits for a gradient of the predictor even if no row used it
        return found if len(marked) else found + _nothing(prompts)

    def embed_support(
        self, frames: Tensor, cache: TemplateCache, valid: Tensor | None = None
    ) -> Tensor:
        """Search regions of past frames (B, K, 3, H, W) to support tokens (B, K, h, w, C).

        Without prompts, without stochastic depth, and without gradients unless `support_grad`.
        valid (B, K) bool: frames marked False are replaced by zeros first.
        """
        if frames.ndim != 5 or len(frames) != len(cache.first):
            raise InputError(
                f"support must be (B={len(cache.first)}, K, 3, H, W), got {tuple(frames.shape)}"
            )
        batch, count = frames.shape[:2]
        if valid is not None:
            frames = frames.masked_fill(~valid[:, :, None, None, None], 0)
        if count != 1:
            cache = cache.rows(torch.arange(batch, device=frames.device).repeat_interleave(count))
        graded = self.support_grad and torch.is_grad_enabled()
        with uncached_autocast(frames.device), torch.set_grad_enabled(graded):
            tokens = self.encoder.embed(frames.flatten(0, 1), cache.blocks)
        return tokens.unflatten(0, (batch, count))

    def predict_prompts(self, support: Tensor, valid: Tensor | None = None) -> Prompts:
        """Support tokens (B, K, h, w, C), those of frames marked in valid (B, K), to prompts."""
        if self.predictor is None:
            raise InputError("this tracker has no prompt predictor: it is the twin without prompts")
        return self.predictor(support, valid)

    def locate(
        self, features: Tensor, cache: TemplateCache, regions: Tensor | None = None
    ) -> Located:
        """Box and score from search maps (B, C, h, w).

        regions (B, 4): boxes to judge instead of the ones found, as the score head is trained.
        """
        boxes = self.box_head(features)
        if self.score_head is None:
            return Located(boxes, None)
        judged = boxes.detach() if regions is None else regions
        return Located(boxes, self.score_head(features, cache.first, judged))

    def encode(
        self,
        templates: Tensor,
        search: Tensor,
        support: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Encoded:
        """Search maps of one joint pass; see `forward`."""
        cache = self.encode_templates(templates)
        if self.predictor is None or support is None or support.shape[1] == 0:
            return Encoded(self.encode_search(search, cache), cache, None, None)
        prompts = self.predict_prompts(self.embed_support(support, cache, valid), valid)
        has_prompt = None if valid is None else valid.any(1)
        features = self.encode_search(search, cache, prompts, has_prompt)
        return Encoded(features, cache, prompts, has_prompt)

    def forward(
        self,
        templates: Tensor,
        search: Tensor,
        support: Tensor | None = None,
        valid: Tensor | None = None,
        regions: Tensor | None = None,
    ) -> Located:
        """One joint pass: templates (B, T, 3, H_t, W_t), search (B, 3, H, W), and search regions of
        support frames (B, K, 3, H, W) with valid (B, K).

        Rows without a valid support frame are MixFormer's. The same parts run while tracking, with
        the cache kept between frames.
        """
        encoded = self.encode(templates, search, support, valid)
        return self.locate(encoded.features, encoded.cache, regions)


def _rows(prompts: Prompts, index: Tensor) -> Prompts:
    if isinstance(prompts, Tensor):
        return prompts[index]
    return [part[index] for part in prompts]


def _nothing(prompts: Prompts) -> Tensor:
    parts = [prompts] if isinstance(prompts, Tensor) else list(prompts)
    return torch.stack([part.sum() * 0 for part in parts]).sum()
