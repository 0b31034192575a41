"""What the demo trains on, and how."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stpn_data.synthesize import main as synthesize
from stpn_vod.arguments import DemoArguments
from stpn_vod.config import Recipe
from stpn_vod.recipes import synthetic

DATA = (
    "--videos", "120", "--val-videos", "30", "--frames", "20", "--size", "128x128",
    "--classes", "4", "--kinds", "blur,defocus,occlusion",
)  # fmt: skip


def demo_data(folder: Path, seed: int, severity: float) -> Path:
    """Synthesise the demo's videos, unless they are there already."""
    if not (folder / "synthetic.json").exists():
        chosen = ("--severity", str(severity)) if severity else ()
        synthesize([str(folder), *DATA, *chosen, "--seed", str(seed)])
    return folder


def demo_recipe(data: Path, arguments: DemoArguments) -> Recipe:
    """The `synthetic` recipe on the demo's data."""
    recipe = synthetic()
    steps = arguments.steps or recipe.optim.steps
    return dataclasses.replace(
        recipe,
        data=dataclasses.replace(recipe.data, root=str(data)),
        optim=dataclasses.replace(recipe.optim, steps=steps),
        run=dataclasses.replace(recipe.run, seed=arguments.seed),
    )
