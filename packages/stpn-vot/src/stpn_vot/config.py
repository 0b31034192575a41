"""What one training run is, completely: every number that decides it.

A recipe is a function that returns a `Recipe`; the command line overrides single fields by dotted
flags; the exact value is saved beside the weights as `config.json` and read back strictly.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from stpn_core.settings import STRICT
from stpn_core.training.config import OptimConfig, RunConfig
from stpn_vot.build_config import TrackerConfig
from stpn_vot.protocol import Protocol
from stpn_vot.tracking_config import TrackingConfig

Format = Literal["auto", "got10k", "lasot", "trackingnet", "coco_targets", "coco_vid", "own"]
"""Layouts with targets that stpn-data reads."""

Part = Literal["encoder", "box_head", "predictor"]
"""Parts of a tracker that a recipe may leave as they are."""


@dataclass(frozen=True)
class DataConfig:
    """Where targets come from, and how templates, search region and support are drawn and cut."""

    __pydantic_config__ = STRICT

    root: str = ""
    """Folder of the data set: GOT-10k, or your own layout with identities."""
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    lasot: str = ""
    """Folder of LaSOT, trained on besides; empty for none."""
    trackingnet: str = ""
    """Folder of TrackingNet, trained on besides."""
    coco: str = ""
    """Folder of COCO, whose objects are videos of one frame, trained on besides."""
    weights: tuple[float, ...] = ()
    """How often each of these data sets is drawn, in this order; empty for all alike."""
    train_split: str = "train"
    val_split: str = "val"
    """Split of `root` to validate on; empty for none."""
    samples: int = 60_000
    """Clips of an epoch."""
    online: int = 1
    """Online templates of a clip."""
    gap: int = 200
    """Frames between templates and search region at most."""
    negatives: float = 0.5
    """Share of clips whose search region does not show the target, where scores are trained."""
    support_count: int = 2
    """Support frames of a clip."""
    support_frames: int = 7
    """They are drawn from `support_frames` * `support_stride` frames before the search frame, where a
    tracker has them (`eval.support_count`)."""
    support_stride: int = 8
    support_swap: float = 0.1
    """Share of clips with support frames of another video, so that prompts may be ignored."""
    support_dropout: float = 0.0
    """Share of clips without support frames."""
    template_factor: float = 2.0
    """Side of a template crop in root areas of the box."""
    search_factor: float = 5.0
    """Side of a search crop in root areas of the box."""
    scale_jitter: float = 0.5
    """Search crops are resized by exp(scale_jitter * normal) in width and height."""
    centre_jitter: float = 4.5
    """Search crops are moved by up to half of that many root areas."""
    parity: bool = True
    """Crops have MixFormer's half pixel of skew, as its weights expect them."""
    grey: float = 0.05
    """Share of clips without colour."""
    flip: float = 0.5
    """Share of clips that are mirrored as a whole."""
    brightness: float = 0.2
    """Each crop's brightness is multiplied by 1 ± up to that."""
    crop_flip: float = 0.5
    """Share of crops that are mirrored once more, each by itself."""
    workers: int = 4
    worker_timeout: float = 120.0
    """Seconds after which a silent data worker is an error."""


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is trained, and by which losses."""

    __pydantic_config__ = STRICT

    stage: Literal["boxes", "scores", "both"] = "boxes"
    """MixFormer's first stage trains everything but the score head, its second the score head alone;
    `both` at once is for small runs."""
    freeze: tuple[Part, ...] = ()
    """Parts that are left as they are, besides those of the stage."""
    overlap: Literal["giou", "ciou"] = "giou"
    """Overlap loss; MixFormer's published weights come from giou, its later code has ciou."""
    overlap_weight: float = 2.0
    l1_weight: float = 5.0
    score_weight: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything of one run."""

    __pydantic_config__ = STRICT

    name: str
    model: TrackerConfig = field(default_factory=TrackerConfig)
    init: str = ""
    """Weights to start from: a tracker (file or run directory, MixFormer's, too), a CvT classifier for
    the encoder alone, or empty for random ones."""
    protocol: Protocol = "unknown"
    """Kept with the weights and every result: `got10k` for GOT-10k's training split alone, `full` for
    more than that."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    eval: TrackingConfig = field(default_factory=TrackingConfig)
    run: RunConfig = field(default_factory=RunConfig)


def twin(recipe: Recipe) -> Recipe:
    """The matched prompt-free twin, MixFormer: the same start, clips and schedule, no other frames."""
    model = recipe.model.without_prompts()
    return dataclasses.replace(recipe, name=f"{recipe.name}_twin", model=model)


def static(recipe: Recipe) -> Recipe:
    """The control with prompts that are learned and do not see the support frames.

    It tells what more tokens do from what other frames do.
    """
    model = dataclasses.replace(
        recipe.model, predictor="static", predictor_options={}, prompt_aux=0.0, num_classes=0
    )
    return dataclasses.replace(recipe, name=f"{recipe.name}_static", model=model)
