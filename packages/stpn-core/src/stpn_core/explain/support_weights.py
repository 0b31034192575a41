"""Where each prompt looks in the support frames.

B batch, K support frames, h x w grid, C channels of support tokens, P prompts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpn_core.encoder import PromptedEncoder
from stpn_core.explain.attention_weights import attention_weights
from stpn_core.predictors.attention import AttentionPredictor
from stpn_core.predictors.average import AveragePredictor
from stpn_core.predictors.deep import DeepPredictor
from stpn_core.predictors.predictor import checked
from stpn_core.predictors.transformer import TransformerPredictor
from stpn_core.swin import SwinEncoder
from stpn_core.vit import VitEncoder


def support_weights(
    predictor: nn.Module, support: Tensor, valid: Tensor | None = None
) -> Tensor | None:
    """The weight of every support token in every prompt: (B, P, K, h, w), each prompt's sum to 1.

    support (B, K, h, w, C), valid (B, K) bool as the predictor takes them. Attention predictors:
    their attention, the mean of the heads. The average predictor: its choice of tokens, which is
    all there is to it. None for a predictor that gives tokens no weights: the mixer mixes positions
    and not tokens, static prompts look at nothing. Deep prompts are all made from the same ones.
    """
    if isinstance(predictor, DeepPredictor):
        predictor = predictor.shared
    if isinstance(predictor, AttentionPredictor | TransformerPredictor):
        found = attention_weights(lambda: predictor(support, valid), lambda w: w.mean(1))
        (weights,) = found
    elif isinstance(predictor, AveragePredictor):
        weights = _choices(predictor, support, valid)
    else:
        return None
    return weights.unflatten(-1, support.shape[1:4])


def token_stride(encoder: PromptedEncoder) -> int:
    """Pixels per support token along each side: those of the last layer, whatever maps the encoder
    returns."""
    if isinstance(encoder, SwinEncoder):
        return encoder.patch * 2 ** (len(encoder.body.layers) - 1)
    if isinstance(encoder, VitEncoder):
        return max(encoder.body.patch_embed.patch_size)
    return encoder.strides[-1]


@torch.no_grad()
def _choices(predictor: AveragePredictor, support: Tensor, valid: Tensor | None) -> Tensor:
    """(B, P, K h w): each prompt takes one token of each valid frame, all alike."""
    tokens = checked(support, valid, predictor.support_dim).flatten(2, 3)
    count = tokens.shape[2]
    strongest = tokens.norm(p=1, dim=-1).topk(min(predictor.num_prompts, count)).indices
    cycle = torch.arange(predictor.num_prompts, device=tokens.device) % strongest.shape[-1]
    chosen = nn.functional.one_hot(strongest[..., cycle], count).float()  # (B, K, P, h w)
    if valid is not None:
        chosen = chosen * valid[:, :, None, None]
    frames = chosen.sum((1, 3), keepdim=True).clamp(min=1)
    return (chosen / frames).transpose(1, 2).flatten(2)
