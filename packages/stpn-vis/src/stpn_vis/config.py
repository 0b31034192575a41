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
from stpn_vis.build_config import SegmenterConfig

Format = Literal["auto", "youtube_vis"]
"""Layouts with instance masks that stpn-data reads; YouTube-VIS 2019, 2021 and OVIS are one."""

ClassHead = Literal["drop", "keep", "coco"]
"""The class layer of the initial weights: forget it, keep it (the classes must be the same), or
take the rows of those classes that COCO has, too."""


@dataclass(frozen=True)
class DataConfig:
    """Where frames come from and how a clip is drawn and shaped."""

    __pydantic_config__ = STRICT

    root: str = ""
    """Folder of the data set."""
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    train_split: str = "train[:90%]"
    """Split to train on; `train[:90%]` leaves a tenth of its videos out, the same ones each time."""
    val_split: str = "train[90%:]"
    """Split with annotations to validate on, here the tenth that was left out; empty for none."""
    draws: int = 1
    """Clips of each video in an epoch, each with another random key frame."""
    support_count: int = 2
    """Support frames of a training clip, drawn on both sides of the key frame."""
    reach: int = 9
    """Largest distance of a training support frame, in annotated frames."""
    short_sides: tuple[int, ...] = (360, 480)
    """Short sides that training draws from."""
    long_side: int = 1333
    """Longest side allowed in training."""
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    """Short sides before a random crop."""
    crop_range: tuple[int, int] = (384, 600)
    """Height and width range of the random crop."""
    crop_probability: float = 0.0
    """Share of training clips that are cropped."""
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
    """How videos are tested."""

    __pydantic_config__ = STRICT

    short_side: int = 480
    long_side: int = 1333
    policy: Literal["uniform", "window", "online"] = "uniform"
    """Support frames: spread over the video, around the frame, or from the past only."""
    count: int = 14
    """Support frames of `uniform` and `online`; `window` takes half of them on each side."""
    stride: int = 8
    """Distance of support frames in `window` and `online`."""
    batch_size: int = 1
    """Frames that go through the network together."""
    top: int = 10
    """Objects of a video that are kept, best first."""
    allow_missing: bool = False
    """Leave frames without an image file out instead of refusing to evaluate."""


@dataclass(frozen=True)
class Recipe:
    """Everything of one run."""

    __pydantic_config__ = STRICT

    name: str
    model: SegmenterConfig = field(default_factory=SegmenterConfig)
    init: str = ""
    """Weights to start from: a file of a segmenter (Mask2Former and MinVIS, too) or of the encoder
    alone, `imagenet1k` for timm's classification weights, or empty for random ones."""
    class_head: ClassHead = "drop"
    """What becomes of the class layer of the initial weights: drop, keep, or coco."""
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    run: RunConfig = field(default_factory=RunConfig)


def twin(recipe: Recipe) -> Recipe:
    """The matched prompt-free twin: the same start, augmentation and schedule, no other frames."""
    model = recipe.model.single_frame()
    return dataclasses.replace(recipe, name=f"{recipe.name}_twin", model=model)
