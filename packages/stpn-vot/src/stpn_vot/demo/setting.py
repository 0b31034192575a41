"""What the demo trains on, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from stpn_data.synthesize import main as synthesize
from stpn_vot.arguments import DemoArguments
from stpn_vot.config import ObjectiveConfig, Recipe, twin
from stpn_vot.recipes import synthetic

SIDE = 128  # pixels of a frame; targets are 30 to 40 wide
SCENES = (
    "--layout", "got10k", "--frames", "20", "--size", f"{SIDE}x{SIDE}", "--classes", "4",
    "--objects", "2-3", "--look-alikes", "0.5", "--kinds", "blur,defocus,occlusion",
)  # fmt: skip
DATA = ("--videos", "72", "--val-videos", "20")
CLEAN = ("--videos", "48", "--val-videos", "0", "--fraction-degraded", "0")
CROP_STEPS, START_STEPS, STEPS = 250, 250, 200
TEMPLATE, SEARCH = 64, 96  # pixels of the crops: both at the scale of the frames
SCALE = 0.3  # jitter of the arms' search regions: without it errors of size add up while tracking
FACTOR = 3.0  # side of a search region in root areas of the box: targets move little in a frame
SUPPORT, STRIDE = 4, 2  # support frames of a tracker, and how far they are apart


def demo_data(folder: Path, arguments: DemoArguments) -> Path:
    """Synthesise the demo's videos, unless they are there already."""
    chosen = ("--severity", str(arguments.severity)) if arguments.severity else ()
    return _synthesised(folder, (*DATA, *chosen), arguments.seed)


def clean_data(folder: Path, arguments: DemoArguments) -> Path:
    """Other scenes of the same kind, without any degradation, for the common start."""
    return _synthesised(folder, CLEAN, arguments.seed + 1)


def demo_recipe(data: Path, start: Path, arguments: DemoArguments) -> Recipe:
    """The `synthetic` recipe at the demo's size, from the demo's common start: boxes alone, without
    scores, so that every frame counts the same for the prompts."""
    recipe = synthetic()
    return dataclasses.replace(
        recipe,
        name="demo",
        init=str(start),
        model=dataclasses.replace(
            recipe.model,
            arch={"dims": (32, 64, 96), "depths": (1, 1, 2), "num_heads": (1, 2, 3)},
            template_size=TEMPLATE,
            search_size=SEARCH,
            head_channels=96,
            score=False,
            deep=True,
            prompt_downscale="predict",
            prompt_aux=1.0,
        ),
        objective=ObjectiveConfig(stage="boxes"),
        data=dataclasses.replace(
            recipe.data,
            root=str(data),
            val_split="",
            search_factor=FACTOR,
            scale_jitter=SCALE,
            centre_jitter=1.0,
            support_frames=SUPPORT,
            support_stride=STRIDE,
        ),
        optim=dataclasses.replace(
            recipe.optim, predictor_lr=3.0, steps=arguments.steps or STEPS, drop_at=(0.7,)
        ),
        eval=dataclasses.replace(
            recipe.eval, search_factor=FACTOR, support_count=SUPPORT, support_stride=STRIDE
        ),
        run=dataclasses.replace(recipe.run, seed=arguments.seed),
    )


def start_recipe(recipe: Recipe, clean: Path, crops: Path, steps: int) -> Recipe:
    """The prompt-free tracker that both arms start from, itself from an encoder of crops. It sees
    clean videos alone, from which a small network learns to track much sooner."""
    return dataclasses.replace(
        twin(recipe),
        name="demo_start",
        init=str(crops),
        data=dataclasses.replace(
            recipe.data,
            root=str(clean),
            support_count=0,
            scale_jitter=synthetic().data.scale_jitter,
        ),
        optim=dataclasses.replace(recipe.optim, steps=steps, drop_at=()),
    )


def _synthesised(folder: Path, flags: Sequence[str], seed: int) -> Path:
    if not (folder / "synthetic.json").exists():
        synthesize([str(folder), *SCENES, *flags, "--seed", str(seed)])
    return folder
