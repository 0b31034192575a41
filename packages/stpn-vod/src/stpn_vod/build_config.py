"""The numbers that decide a detector's shape and behaviour; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

Options = dict[str, bool | int | float | str | tuple[int, ...]]
"""Keyword arguments of a part, as they survive JSON."""

RELEASED_STDS = (0.2, 0.2, 0.2, 0.2)
"""Box deviations of the released STPN detectors."""
SINGLE_FRAME_STDS = (0.1, 0.1, 0.2, 0.2)
"""Box deviations of the usual single-frame Faster R-CNN."""


@dataclass(frozen=True)
class DetectorConfig:
    """Everything `build_detector` needs; defaults are those of the released STPN detector with
    Swin-T."""

    # read by the JSON reader: a misspelt field is an error, not a default
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    encoder: str = "swin_tiny"
    """Backbone: swin_tiny, swin_small, swin_base, swin_large, or the name of a timm ViT."""
    arch: Options = field(default_factory=dict)
    """Options of the backbone, such as embed_dim, depths and num_heads for encoder `swin`."""
    window: int = 7
    """Attention window of a Swin backbone, in tokens."""
    drop_path: float = 0.2
    """Stochastic depth of the last block while training."""
    checkpointing: bool = False
    """Recompute blocks in the backward pass to save memory."""
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
    head: Literal["faster_rcnn", "selsa"] = "faster_rcnn"
    """Second stage: each region alone, or regions that look at those of the support frames."""
    num_classes: int = 30
    pad_to: int = 32
    """Height and width of a frame are zero-padded to multiples of this, which moves boxes near the
    border a little; 16 in the released checkpoints."""
    fpn_channels: int = 256
    fc_channels: int = 1024
    box_stds: tuple[float, float, float, float] = RELEASED_STDS
    rpn_samples: int = 256
    """Anchors per image in the loss, at most half of them positive."""
    roi_samples: int = 256
    """Regions per image in the loss, at most a quarter of them objects."""
    roi_low_quality: bool = True
    """An object's best regions (IoU 0.5 at least) are its own, even if another one fits better."""
    sampling: Literal["random", "first"] = "random"
    """Draw anchors and regions, or take the first ones: reproducible without random numbers."""
    train_proposals: int = 300
    test_proposals: int = 300
    score_threshold: float = 1e-4
    """Detections with a lower or equal score are dropped."""
    nms_iou: float = 0.5
    max_detections: int = 100

    @property
    def uses_support(self) -> bool:
        """Whether the detector looks at other frames at all."""
        return self.predictor is not None or self.head == "selsa"

    def single_frame(self) -> DetectorConfig:
        """The matched twin that looks at no other frame and is otherwise the same."""
        return replace(self, predictor=None, prompt_aux=0.0, head="faster_rcnn")
