"""The parts of a run, from its recipe, and what of the recipe may change when it continues."""

from __future__ import annotations

from collections.abc import Sequence

from stpn_core.training import Training, World, prepare_training, stpn_multipliers
from stpn_vis.build import build_segmenter
from stpn_vis.build_config import NO_DECAY
from stpn_vis.config import Recipe
from stpn_vis.segmenter import Segmenter
from stpn_vis.start import starting_model

MAY_CHANGE = ("data.root", "data.workers", "data.worker_timeout", "data.val_split")
"""Fields of the data that do not decide the weights of a run."""
_UNDECAYED = (*NO_DECAY, "stpn.predictor.query")


def prepare(
    recipe: Recipe, world: World, clips: int, classes: Sequence[str], *, resumed: bool
) -> Training[Segmenter]:
    """The parts of a run before its first step; with `resumed` weights are to come from
    `restore`, and the file the run started from is not asked for again. classes: of the data."""
    model = build_segmenter(recipe.model) if resumed else starting_model(recipe, classes)
    return prepare_training(
        model,
        recipe.optim,
        recipe.run,
        world,
        clips,
        lr_multipliers=stpn_multipliers(model.stpn, recipe.optim),
        no_decay=_UNDECAYED,
    )
