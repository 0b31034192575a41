"""What the demo trains on, and how."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stpn_data.synthesize import main as synthesize
from stpn_vis.arguments import DemoArguments
from stpn_vis.config import Recipe
from stpn_vis.recipes import synthetic

SIDE = 96  # pixels: frames are padded to multiples of 32
WINDOW = 6  # 24 x 24 tokens, a whole number of attention windows where there are most of them
DATA = (
    "--layout", "youtube_vis", "--videos", "360", "--val-videos", "60", "--frames", "5",
    "--size", f"{SIDE}x{SIDE}", "--classes", "3", "--objects", "1-2", "--look-alikes", "0.25",
    "--kinds", "blur,defocus,occlusion",
)  # fmt: skip
START_STEPS, STEPS = 500, 500


def demo_data(folder: Path, arguments: DemoArguments) -> Path:
    """Synthesise the demo's videos, unless they are there already."""
    if not (folder / "synthetic.json").exists():
        chosen = ("--severity", str(arguments.severity)) if arguments.severity else ()
        synthesize([str(folder), *DATA, *chosen, "--seed", str(arguments.seed)])
    return folder


def demo_recipe(data: Path, start: Path, arguments: DemoArguments) -> Recipe:
    """The `synthetic` recipe at the demo's size, from the demo's common start."""
    recipe = synthetic()
    return dataclasses.replace(
        recipe,
        name="demo",
        init=str(start),
        model=dataclasses.replace(recipe.model, window=WINDOW, num_queries=8),
        data=dataclasses.replace(
            recipe.data,
            root=str(data),
            short_sides=(SIDE,),
            long_side=SIDE,
            val_split="",
            draws=4,
            # else the queries learn where the objects of these few videos are
            crop_probability=0.9,
            crop_short_sides=(SIDE, 7 * SIDE // 6, 4 * SIDE // 3),
            crop_range=(5 * SIDE // 6, SIDE),
        ),
        # averaged weights: at this rate the loss of single steps goes up and down for long
        optim=dataclasses.replace(
            recipe.optim, lr=1e-3, drop_at=(0.65, 0.9), ema=0.98, steps=arguments.steps or STEPS
        ),
        eval=dataclasses.replace(recipe.eval, short_side=SIDE, long_side=SIDE, count=8, stride=2),
        run=dataclasses.replace(recipe.run, seed=arguments.seed),
    )
