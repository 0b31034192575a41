"""The numbers that decide a segmenter's shape and behaviour; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

Options = dict[str, bool | int | float | str | tuple[int, ...]]
"""Keyword arguments of a part, as they survive JSON."""

Sampling = Literal["auto", "grid_sample", "embedding_bag"]
"""Two exact forms of deformable attention; `auto` takes the faster one on each kind of device."""

NO_DECAY = (
    *("norm", "relative_position_bias_table", "absolute_pos_embed"),
    *("decoder.query_", "decoder.level_embedding"),
)
"""Parts of the names of parameters that Mask2Former trains without weight decay."""


@dataclass(frozen=True)
class SegmenterConfig:
    """Everything `build_segmenter` needs; defaults are those of MinVIS with Swin-T on YouTube-VIS,
    with the prompts of the released STPN."""

    # read by the JSON reader: a misspelt field is an error, not a default
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    encoder: str = "swin_tiny"
    """Backbone: swin_tiny, swin_small, swin_base, swin_large, or the name of a timm ViT."""
    arch: Options = field(default_factory=dict)
    """Options of the backbone, such as embed_dim, depths and num_heads for encoder `swin`."""
    window: int = 7
    """Attention window of a Swin backbone, in tokens."""
    drop_path: float = 0.3
    """Stochastic depth of the last block while training."""
    checkpointing: bool = False
    """Recompute backbone blocks in the backward pass to save memory."""
    predictor: str | None = "attention"
    """Prompt predictor: attention, average, transformer, mixer, static; None for single frames."""
    predictor_options: Options = field(default_factory=dict)
    """Options of the prompt predictor."""
    num_prompts: int = 5
    deep: bool = False
    """Fresh prompts for every block instead of prompts that travel through the backbone."""
    support_grad: bool = False
    """Let the gradient flow through the support frames."""
    prompt_merge: Literal["aligned", "released"] = "aligned"
    """Channel order of prompts at patch merging; `released` is for the released checkpoints."""
    prompt_aux: float = 0.0
    """Weight of the auxiliary loss on the prompts; 0 leaves its layer out."""
    num_classes: int = 40
    num_queries: int = 100
    """Objects that a frame can have at most."""
    hidden: int = 256
    """Channels of the pixel decoder and of the queries; a multiple of 32 and of heads."""
    mask_dim: int = 256
    """Channels of the map that queries are compared with to give masks."""
    heads: int = 8
    """Attention heads of both decoders."""
    attention_points: int = 4
    """Points that deformable attention samples per head and level."""
    sampling: Sampling = "auto"
    """How deformable attention samples; both forms give the same numbers."""
    pixel_layers: int = 6
    pixel_ffn: int = 1024
    decoder_layers: int = 9
    decoder_ffn: int = 2048
    points: int = 12544
    """Points per mask at which predictions are matched and the mask losses are taken."""
    oversample: float = 3.0
    """How many times as many points are drawn to find the uncertain ones among them."""
    importance: float = 0.75
    """Share of the points that are the most uncertain ones; the others are uniform."""
    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    no_object_weight: float = 0.1
    """Weight of queries without an object in the classification loss."""

    @property
    def uses_support(self) -> bool:
        """Whether the segmenter looks at other frames at all."""
        return self.predictor is not None

    def single_frame(self) -> SegmenterConfig:
        """The matched twin that looks at no other frame and is otherwise the same."""
        return replace(self, predictor=None, prompt_aux=0.0)
