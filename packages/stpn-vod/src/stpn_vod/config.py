"""What one run is, completely: every number that decides a training or an evaluation.

A recipe is a function that returns a `Recipe`; the command line overrides single fields by dotted
flags; the exact value is saved beside the weights as `config.json` and read back strictly.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from stpn_core.settings import STRICT
from stpn_core.training.config import OptimConfig, RunConfig
from stpn_vod.build_config import DetectorConfig
from stpn_vod.predict_config import Resampling

Format = Literal["auto", "imagenet_vid", "imagenet_det", "coco_vid", "own", "frames"]
"""Layouts that stpn-data reads."""


@dataclass(frozen=True)
class DataConfig:
    """Where frames come from and how a clip is drawn and shaped."""

    __pydantic_config__ = STRICT

    root: str = ""
    """Folder of the data set (ImageNet VID, CocoVID, or your own layout)."""
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    det_root: str = ""
    """Folder with ImageNet DET, joined to the training split; empty for none."""
    train_split: str = "train"
    val_split: str = "val"
    """Split to validate on; empty for none."""
    support_count: int = 2
    """Support frames of a training clip, drawn on both sides of the key frame."""
    reach: int = 9
    """Largest distance of a training support frame, in frames."""
    short_sides: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    """Short sides that training draws from."""
    long_side: int = 1333
    """Longest side allowed in training."""
    resampling: Resampling = "antialias"
    """How frames are resized; see `eval.resampling`."""
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    """Short sides before a random crop."""
    crop_range: tuple[int, int] = (384, 600)
    """Height and width range of the random crop."""
    crop_probability: float = 0.5
    """Share of training clips that are cropped; 0 switches it off."""
    independent_crop: bool = False
    """Draw the crop per frame instead of once per clip, as the released code does."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    degrade: float = 0.0
    """Largest severity of training degradations (blur, occluders, noise ...); 0 for none."""
    support_dropout: float = 0.0
    """Share of training clips shown without support."""
    support_swap: float = 0.0
    """Share of training clips shown with the support of another video."""
    group_by_aspect: bool = True
    workers: int = 4
    worker_timeout: float = 120.0
    """Seconds after which a silent data worker is an error."""


@dataclass(frozen=True)
class EvalConfig:
    """How frames are tested."""

    __pydantic_config__ = STRICT

    short_side: int = 600
    long_side: int = 1000
    resampling: Resampling = "antialias"
    """How frames are resized: with a filter that shrinks without aliasing, or as OpenCV does, on
    which the released numbers rest."""
    policy: Literal["uniform", "window", "online"] = "uniform"
    """Support frames: spread over the video, around the frame, or from the past only."""
    count: int = 14
    """Support frames of `uniform` and `online`; `window` takes half of them on each side."""
    stride: int = 8
    """Distance of support frames in `window` and `online`."""
    batch_size: int = 1
    every: int = 1
    """Test every n-th frame of a video (1 = all; the benchmark's number needs all)."""
    allow_missing: bool = False
    """Leave frames without an image file out instead of refusing to evaluate."""


@dataclass(frozen=True)
class Recipe:
    """Everything of one run."""

    __pydantic_config__ = STRICT

    name: str
    model: DetectorConfig = field(default_factory=DetectorConfig)
    init: str = ""
    """Weights to start from: a file for the encoder or for the whole detector, `imagenet1k` for
    timm's classification weights, or empty for random ones."""
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    run: RunConfig = field(default_factory=RunConfig)


def twin(recipe: Recipe) -> Recipe:
    """The matched single-frame twin: the same start, augmentation and schedule, no other frames."""
    model = recipe.model.single_frame()
    return dataclasses.replace(recipe, name=f"{recipe.name}_twin", model=model)
