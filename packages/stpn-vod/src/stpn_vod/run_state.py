"""The parts of a run, from its recipe, and what of the recipe may change when it continues."""

from __future__ import annotations

from stpn_core.training import Training, World, prepare_training, stpn_multipliers
from stpn_vod.build import Detector, build_detector
from stpn_vod.config import Recipe
from stpn_vod.start import starting_model

MAY_CHANGE = ("data.root", "data.det_root", "data.workers", "data.worker_timeout", "data.val_split")
"""Fields of the data that do not decide the weights of a run."""


def prepare(recipe: Recipe, world: World, clips: int, *, resumed: bool) -> Training[Detector]:
    """The parts of a run before its first step; with `resumed` weights are to come from
    `restore`, and the file the run started from is not asked for again."""
    model = build_detector(recipe.model) if resumed else starting_model(recipe)
    rates = stpn_multipliers(model.stpn, recipe.optim)
    return prepare_training(model, recipe.optim, recipe.run, world, clips, lr_multipliers=rates)
