"""What one run is, completely: every number that decides a training or an evaluation.

A recipe is a function that returns a `Recipe`; the command line overrides single fields by dotted
flags; the exact value is saved beside the weights as `config.json` and read back strictly.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from stpn_core.errors import InputError
from stpn_vod.build_config import DetectorConfig

STRICT: Any = {"extra": "forbid"}  # a misspelt field in a file is an error, not a default

Format = Literal["auto", "imagenet_vid", "imagenet_det", "coco_vid", "own", "frames"]
"""Layouts that stpn-data reads."""

T = TypeVar("T")


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
class OptimConfig:
    """AdamW, warm-up and steps."""

    __pydantic_config__ = STRICT

    lr: float = 2.5e-5
    weight_decay: float = 0.05
    predictor_lr: float = 1.0
    """Multiplier of the learning rate for the prompt predictor."""
    no_bias_decay: bool = True
    """Leave biases out of weight decay."""
    batch_size: int = 1
    """Clips per process and step."""
    accumulate: int = 1
    """Batches per optimiser step."""
    steps: int = 0
    """Optimiser steps; 0 counts them from `epochs`."""
    epochs: float = 9.0
    drop_at: tuple[float, ...] = (6 / 9,)
    """Shares of the training after which the learning rate is divided by ten."""
    warmup_steps: int = 500
    warmup_ratio: float = 1 / 3
    clip_norm: float = 35.0
    """Largest gradient norm; 0 for no clipping."""
    ema: float = 0.0
    """Decay of the averaged weights that are evaluated and saved; 0 for none."""


@dataclass(frozen=True)
class EvalConfig:
    """How frames are tested."""

    __pydantic_config__ = STRICT

    short_side: int = 600
    long_side: int = 1000
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
class RunConfig:
    """Machine side of a run: seed, precision, how often things are saved."""

    __pydantic_config__ = STRICT

    seed: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    log_every: int = 20
    save_every: int = 1000
    """Steps between checkpoints."""
    keep: int = 2
    """Checkpoints kept besides the best and the last."""
    validate_every: int = 0
    """Steps between validations; 0 validates at the end only."""
    tensorboard: bool = False
    timeout: float = 300.0
    """Seconds after which a rank that hears nothing from the others gives up."""


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


def to_json(recipe: Recipe) -> str:
    """The recipe as JSON text; `from_json` gives it back exactly."""
    return json.dumps(dataclasses.asdict(recipe), indent=2) + "\n"


def from_json(text: str, where: str = "config") -> Recipe:
    """Read what `to_json` wrote. Raises InputError with a line for every field that is wrong."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON: {error}") from error
    return read_dataclass(Recipe, values, where)


def read_dataclass(kind: type[T], values: Any, where: str) -> T:
    """A dataclass from JSON values, strictly: every wrong, unknown or missing field is named."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise InputError(
            "\n".join(
                f"{where}: {'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
                f" (got {fault['input']!r})"
                for fault in error.errors()
            )
        ) from None
