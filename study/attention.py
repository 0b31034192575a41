"""How much of the backbone's attention goes to the prompts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from stpn_data.batch import normalise
from stpn_data.index import VideoIndex
from stpn_data.sequence import evaluation_videos
from stpn_data.support import counted_policy
from stpn_data.transforms import EvalResize, cover
from stpn_vod.build import Detector
from stpn_vod.config import EvalConfig


class PromptMass(TorchFunctionMode):
    """While active, notes for every attention the mean probability that patches give to the first
    `prompts` keys."""

    def __init__(self, prompts: int) -> None:
        super().__init__()
        self.prompts = prompts
        self.blocks: list[float] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is scaled_dot_product_attention:
            self.blocks.append(self._mass(args[0], args[1], args[3] if len(args) > 3 else None))
        return func(*args, **(kwargs or {}))

    def _mass(self, q: Tensor, k: Tensor, bias: Tensor | None) -> float:
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        weights = (scores if bias is None else scores + bias).softmax(-1)
        patches = k.shape[-2] - self.prompts  # the last queries; shallow prompts ask, too
        return float(weights[..., -patches:, : self.prompts].sum(-1).mean())


@torch.no_grad()
def prompt_mass(model: Detector, index: VideoIndex, config: EvalConfig, videos: int = 16) -> dict:
    """Mean attention of patches on prompts in every block, on the middle frames of some videos.

    `uniform` is what they would get if all keys of a window were alike.
    """
    predictor = model.stpn.predictor
    assert predictor is not None
    device = next(model.parameters()).device
    policy = counted_policy(config.policy, config.count, config.stride)
    resize = EvalResize(config.short_side, config.long_side)
    sums: list[float] = []
    chosen = evaluation_videos(index, resize)[:videos]
    for video in chosen:
        middle = len(video) // 2
        image = video.frame(middle).image
        size = (image.shape[-2], image.shape[-1])
        support = cover(video.support(policy.indices(middle, len(video))), size)
        tokens = model.stpn.embed_support(normalise(support.to(device))[None])
        prompts = model.stpn.predict_prompts(tokens)
        with PromptMass(predictor.num_prompts) as mass:  # type: ignore[arg-type]
            model.stpn.encode(normalise(image.to(device))[None], prompts)
        sums = [a + b for a, b in zip(sums or [0.0] * len(mass.blocks), mass.blocks, strict=True)]
    return {"blocks": [value / len(chosen) for value in sums], "prompts": predictor.num_prompts}
