"""What all arms share: the videos, the start, the schedule, the test."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path

from stpn_data.readers import open_dataset
from stpn_data.synthesize import main as synthesize
from stpn_vod.config import Recipe
from stpn_vod.demo.start import train_start
from stpn_vod.recipes import synthetic


@dataclass(frozen=True)
class Setting:
    """Sizes of a study; the seed of a replicate draws its videos, its start and its training."""

    name: str
    side: int  # pixels of a square frame
    videos: int
    val_videos: int
    frames: int  # of each video
    classes: int
    start_steps: int
    steps: int
    every: int  # every n-th frame of a validation video is tested
    curve_points: int  # how often the learning curve is measured, the end included
    curve_every: int  # as `every`, for the points of the learning curve before the end

    @property
    def save_every(self) -> int:
        """Steps between checkpoints, which are the points of the learning curve."""
        return max(1, self.steps // self.curve_points)

    def data_flags(self, seed: int) -> list[str]:
        """What `stpn data synthesize` is given after the folder."""
        numbers = {
            "videos": self.videos,
            "val-videos": self.val_videos,
            "frames": self.frames,
            "size": f"{self.side}x{self.side}",
            "classes": self.classes,
            "kinds": "blur,defocus,occlusion",
            "seed": seed,
        }
        return [text for key, value in numbers.items() for text in (f"--{key}", str(value))]


# 112 pixels: 28 x 28 tokens, whole attention windows in the first stages. 40 frames: at a stride of
# 8 a frame has four or five support frames.
FULL = Setting("full", 112, 160, 48, 40, 4, 600, 400, 2, 4, 10)
LONG = replace(FULL, name="long", steps=1000, curve_points=5)
QUICK = Setting("quick", 64, 4, 4, 6, 2, 2, 2, 3, 2, 5)


@dataclass(frozen=True)
class Replicate:
    """One repetition of the study: every arm of it sees these videos and starts from this file."""

    setting: Setting
    seed: int
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def start(self) -> Path:
        return self.folder / "start.safetensors"

    def base(self) -> Recipe:
        """The main arm: the `synthetic` recipe at the size of the setting."""
        recipe, setting, side = synthetic(), self.setting, self.setting.side
        return dataclasses.replace(
            recipe,
            name="study",
            init=str(self.start),
            data=dataclasses.replace(
                recipe.data, root=str(self.data), short_sides=(side,), long_side=side, val_split=""
            ),
            optim=dataclasses.replace(recipe.optim, steps=setting.steps),
            eval=dataclasses.replace(
                recipe.eval, short_side=side, long_side=side, every=setting.every
            ),
            run=dataclasses.replace(
                recipe.run,
                seed=self.seed,
                save_every=setting.save_every,
                keep=2 * setting.curve_points,
            ),
        )

    def prepare(self) -> None:
        """Make the videos and train the start, unless they are there."""
        if not (self.data / "synthetic.json").exists():
            synthesize([str(self.data), *self.setting.data_flags(self.seed)])
        index = open_dataset(self.data, "train")
        train_start(self.start, self.base(), index, self.setting.start_steps)
