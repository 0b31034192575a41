"""The parts of a run, from its recipe, and what of the recipe may change when it continues."""

from __future__ import annotations

from stpn_core.training import Training, World, prepare_training
from stpn_core.training.optimizer import NO_DECAY
from stpn_vot.batch_loss import frozen_parts
from stpn_vot.build import build_tracker
from stpn_vot.config import Recipe
from stpn_vot.mixformer import MixFormer
from stpn_vot.start import starting_model

MAY_CHANGE = (
    "data.root", "data.lasot", "data.trackingnet", "data.coco", "data.workers",
    "data.worker_timeout", "data.val_split",
)  # fmt: skip
"""Fields of the data that do not decide the weights of a run."""
_UNDECAYED = (*NO_DECAY, "predictor.query", "predictor.prompts", "score_head.token")


def prepare(recipe: Recipe, world: World, clips: int, *, resumed: bool) -> Training[MixFormer]:
    """The parts of a run before its first step; with `resumed` weights are to come from
    `restore`, and the file the run started from is not asked for again."""
    model = build_tracker(recipe.model) if resumed else starting_model(recipe)
    for part in frozen_parts(model, recipe.objective):
        part.requires_grad_(False)
    rates = {"encoder": recipe.optim.encoder_lr}
    if model.predictor is not None:
        rates["predictor"] = recipe.optim.predictor_lr
    return prepare_training(
        model,
        recipe.optim,
        recipe.run,
        world,
        clips,
        lr_multipliers={part: rate for part, rate in rates.items() if rate != 1},
        no_decay=_UNDECAYED,
    )
