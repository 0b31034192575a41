"""Numbers of a recipe that cannot work, named before anything starts.

Types and names are checked where a configuration is read; what a data set or a model refuses, it
refuses itself. Here is what would otherwise fail late: at the first save, or after the last step.
"""

from __future__ import annotations

from stpn_core.settings import number_faults, refuse
from stpn_core.training.config import optim_faults, run_faults
from stpn_vot.config import Recipe
from stpn_vot.tracking_config import check_tracking

_COUNTS = ("data.workers", "data.support_count", "data.online")
_POSITIVE = (
    "data.worker_timeout", "data.samples", "data.gap", "data.support_frames",
    "data.support_stride", "data.template_factor", "data.search_factor",
)  # fmt: skip
_NOT_NEGATIVE = (
    "data.scale_jitter", "data.centre_jitter", "model.prompt_aux", "objective.overlap_weight",
    "objective.l1_weight", "objective.score_weight",
)  # fmt: skip
_SHARES = (
    "data.negatives", "data.support_swap", "data.support_dropout", "data.grey", "data.flip",
    "data.brightness", "data.crop_flip", "model.drop_path",
)  # fmt: skip


def check_recipe(recipe: Recipe) -> None:
    """Raise InputError with a line for everything in `recipe` that cannot work."""
    faults = [
        *(f"optim.{fault}" for fault in optim_faults(recipe.optim)),
        *(f"run.{fault}" for fault in run_faults(recipe.run)),
        *number_faults(recipe, _COUNTS, "0 or more", lambda x: x >= 0),
        *number_faults(recipe, _POSITIVE, "greater than 0", lambda x: x > 0),
        *number_faults(recipe, _NOT_NEGATIVE, "0 or more", lambda x: x >= 0),
        *number_faults(recipe, _SHARES, "from 0 to 1", lambda x: 0 <= x <= 1),
        *_part_faults(recipe),
        *_data_faults(recipe),
    ]
    refuse(recipe.name, faults)
    check_tracking(recipe.eval)


def _part_faults(recipe: Recipe) -> list[str]:
    """Parts that are to be trained and are not there."""
    model, objective, faults = recipe.model, recipe.objective, []
    scored = objective.stage in ("scores", "both")
    if scored and not model.score:
        faults.append(f"objective.stage {objective.stage}: needs model.score")
    if objective.stage == "scores" and not recipe.init:
        faults.append("init: the second stage needs the weights (or run directory) of the first")
    trained = {"boxes": {"encoder", "box_head"}, "scores": set(), "both": {"encoder", "box_head"}}
    left = trained[objective.stage] | ({"predictor"} if model.uses_support else set())
    if objective.stage == "boxes" and not left - {*objective.freeze}:
        faults.append(f"objective.freeze {', '.join(objective.freeze)}: nothing is left to train")
    if model.prompt_aux and not (model.uses_support and recipe.data.support_count):
        faults.append("model.prompt_aux: needs a predictor and data.support_count of 1 or more")
    return faults


def _data_faults(recipe: Recipe) -> list[str]:
    data, faults = recipe.data, []
    others = [name for name in ("lasot", "trackingnet", "coco") if getattr(data, name)]
    count = 1 + len(others)
    if data.weights and (len(data.weights) != count or not min(data.weights) > 0):
        faults.append(
            f"data.weights: {count} numbers above 0, one per data set, not {data.weights}"
        )
    if data.support_swap + data.support_dropout > 1:
        faults.append("data.support_swap and data.support_dropout: together 1 at most")
    if recipe.protocol == "got10k" and (others or not data.train_split.startswith("train")):
        what = ", ".join(f"data.{name}" for name in others) or f"split {data.train_split}"
        faults.append(f"protocol: got10k is GOT-10k's training split alone, without {what}")
    return faults
