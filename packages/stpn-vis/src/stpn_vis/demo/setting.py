"""What the demo trains on, and how."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stpn_data.synthesize import main as synthesize
from stpn_vis.arguments import DemoArguments
from stpn_vis.config import Recipe
from stpn_vis.recipes import synthetic

SIDE = 112  # pixels: 28 x 28 tokens, a whole number of attention windows at every stage
DATA = (
    "--layout", "youtube_vis", "--videos", "80", "--val-videos", "20", "--frames", "16",
    "--size", f"{SIDE}x{SIDE}", "--classes", "4", "--objects", "2-2", "--look-alikes", "0.5",
    "--kinds", "blur,defocus,occlusion",
)  # fmt: skip
START_STEPS, STEPS = 500, 350


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
        data=dataclasses.replace(
            recipe.data, root=str(data), short_sides=(SIDE,), long_side=SIDE, val_split="", draws=4
        ),
        optim=dataclasses.replace(recipe.optim, lr=1e-3, steps=arguments.steps or STEPS),
        eval=dataclasses.replace(recipe.eval, short_side=SIDE, long_side=SIDE),
        run=dataclasses.replace(recipe.run, seed=arguments.seed),
    )
