"""The numbers that decide a tracker network's shape; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

Options = dict[str, bool | int | float | str | tuple[int, ...]]
"""Keyword arguments of a part, as they survive JSON."""


@dataclass(frozen=True)
class TrackerConfig:
    """Everything `build_tracker` needs; defaults are those of MixFormer with CvT-21, with STPN's
    nine prompts."""

    # read by the JSON reader: a misspelt field is an error, not a default
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    encoder: str = "cvt_21"
    """Backbone: cvt_13, cvt_21, cvt_w24, or cvt with sizes of one's own in `arch`."""
    arch: Options = field(default_factory=dict)
    """Options of the backbone: dims, depths, num_heads and mlp_ratio for encoder `cvt`."""
    template_size: int = 128
    """Side of a template crop in pixels; a multiple of 16."""
    search_size: int = 320
    """Side of a search crop in pixels; a multiple of 16."""
    drop_path: float = 0.1
    """Stochastic depth of the last block while training."""
    checkpointing: bool = False
    """Recompute backbone blocks in the backward pass to save memory."""
    head: Literal["plain", "pyramid"] = "plain"
    """Corner head at stride 16 (every CvT model of MixFormer), or refined to stride 4."""
    head_channels: int = 384
    """Channels of the corner head's first convolution; a multiple of 8."""
    frozen_head_norms: bool = False
    """Batch norms of the corner head keep their statistics (second stage of training)."""
    score: bool = True
    """Whether there is a score head; trackers of the first training stage have none."""
    score_heads: int = 6
    """Attention heads of the score head."""
    predictor: str | None = "transformer"
    """Prompt predictor: transformer, attention, average, mixer, static; None for MixFormer."""
    predictor_options: Options = field(default_factory=dict)
    """Options of the prompt predictor."""
    num_prompts: int = 9
    deep: bool = False
    """Fresh prompts for every block instead of prompts that travel through the backbone."""
    prompt_attention: Literal["bypass", "map"] = "bypass"
    """Prompts skip attention's convolutions, as a class token does, or pass them as a map."""
    prompt_downscale: Literal["conv", "linear", "predict"] = "conv"
    """How prompts come to the next stage: its convolution, a linear layer, or predicted anew."""
    support_grad: bool = False
    """Let the gradient flow through the support frames."""
    prompt_aux: float = 0.0
    """Weight of the auxiliary loss that has the prompts tell what classes the support frames show;
    0 for none."""
    num_classes: int = 0
    """Classes of that loss; 0 takes those of the data."""

    @property
    def uses_support(self) -> bool:
        """Whether the tracker looks at other frames than its templates."""
        return self.predictor is not None

    def without_prompts(self) -> TrackerConfig:
        """The matched twin without prompts: MixFormer."""
        return replace(self, predictor=None, prompt_aux=0.0, num_classes=0)
