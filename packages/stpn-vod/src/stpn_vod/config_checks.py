"""Numbers of a configuration that cannot work, named before anything starts.

Types and names are checked where a configuration is read; what a data set, a transform or a model
refuses, it refuses itself. Here is what would otherwise fail late: at the first save, or after the
last step.
"""

from __future__ import annotations

from stpn_core.settings import number_faults, refuse
from stpn_core.training.config import optim_faults, run_faults
from stpn_vod.config import EvalConfig, Recipe
from stpn_vod.predict_config import PredictConfig

_POSITIVE = ("data.worker_timeout", "model.pad_to")
_SHARES = (
    "data.flip", "data.crop_probability", "data.degrade", "data.support_dropout",
    "data.support_swap", "model.drop_path",
)  # fmt: skip
_PREDICT_SHARES = ("score", "link.low", "link.iou", "link.low_iou")
_EVAL_POSITIVE = ("short_side", "long_side", "count", "stride", "batch_size", "every")


def check_recipe(recipe: Recipe) -> None:
    """Raise InputError with a line for every number of `recipe` that cannot work."""
    counts = ("data.workers", "data.support_count")
    faults = [
        *(f"optim.{fault}" for fault in optim_faults(recipe.optim)),
        *(f"run.{fault}" for fault in run_faults(recipe.run)),
        *number_faults(recipe, _POSITIVE, "greater than 0", lambda x: x > 0),
        *number_faults(recipe, counts, "0 or more", lambda x: x >= 0),
        *number_faults(recipe, _SHARES, "from 0 to 1", lambda x: 0 <= x <= 1),
        *(f"eval.{fault}" for fault in _eval_faults(recipe.eval)),
    ]
    if recipe.model.prompt_aux and (
        recipe.model.predictor is None or not recipe.data.support_count
    ):
        faults.append("model.prompt_aux: needs a predictor and data.support_count of 2 or more")
    refuse(recipe.name, faults)


def check_eval(config: EvalConfig) -> None:
    """Raise InputError with a line for every number of `config` that cannot work."""
    refuse("evaluation", _eval_faults(config))


def check_predict(config: PredictConfig) -> None:
    """Raise InputError with a line for every number of `config` that cannot work."""
    positive = ("count", "stride", "short_side", "long_side")
    faults = [
        *number_faults(config, positive, "1 or more", lambda x: x >= 1),
        *number_faults(config, ["max_frames", "link.patience"], "0 or more", lambda x: x >= 0),
        *number_faults(config, _PREDICT_SHARES, "from 0 to 1", lambda x: 0 <= x <= 1),
    ]
    refuse("prediction", faults)


def _eval_faults(config: EvalConfig) -> list[str]:
    return number_faults(config, _EVAL_POSITIVE, "1 or more", lambda x: x >= 1)
