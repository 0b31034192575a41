"""Numbers of a configuration that cannot work, named before anything starts.

Types and names are checked where a configuration is read; what a data set, a transform or a model
refuses, it refuses itself. Here is what would otherwise fail late: at the first save, or after the
last step.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from stpn_core.errors import InputError
from stpn_vod.config import EvalConfig, Recipe
from stpn_vod.predict_config import PredictConfig

_POSITIVE = (
    "optim.lr", "optim.batch_size", "optim.accumulate", "optim.predictor_lr",
    "data.worker_timeout", "run.timeout", "run.log_every", "run.save_every", "run.keep",
)  # fmt: skip
_NOT_NEGATIVE = (
    "optim.weight_decay", "optim.steps", "optim.epochs", "optim.warmup_steps", "optim.clip_norm",
    "data.workers", "data.support_count", "run.seed", "run.validate_every",
)  # fmt: skip
_SHARES = (
    "optim.warmup_ratio", "data.flip", "data.crop_probability", "data.degrade",
    "data.support_dropout", "data.support_swap", "model.drop_path",
)  # fmt: skip
_EVAL_POSITIVE = ("short_side", "long_side", "count", "stride", "batch_size", "every")


def check_recipe(recipe: Recipe) -> None:
    """Raise InputError with a line for every number of `recipe` that cannot work."""
    values = dataclasses.asdict(recipe)
    faults = [
        *_faults(values, _POSITIVE, "greater than 0", lambda x: x > 0),
        *_faults(values, _NOT_NEGATIVE, "0 or more", lambda x: x >= 0),
        *_faults(values, _SHARES, "from 0 to 1", lambda x: 0 <= x <= 1),
        *_faults(values, ["optim.ema"], "from 0 to below 1", lambda x: 0 <= x < 1),
        *_eval_faults(recipe.eval, "eval."),
    ]
    drops = recipe.optim.drop_at
    if list(drops) != sorted(drops) or not all(0 <= share <= 1 for share in drops):
        faults.append(f"optim.drop_at: ascending shares of the training, 0 to 1, not {drops}")
    if not recipe.optim.steps and not recipe.optim.epochs > 0:
        faults.append("optim.steps and optim.epochs are both 0: nothing to train")
    if recipe.model.prompt_aux and (
        recipe.model.predictor is None or not recipe.data.support_count
    ):
        faults.append("model.prompt_aux: needs a predictor and data.support_count of 2 or more")
    _refuse(recipe.name, faults)


def check_eval(config: EvalConfig) -> None:
    """Raise InputError with a line for every number of `config` that cannot work."""
    _refuse("evaluation", _eval_faults(config, ""))


def check_predict(config: PredictConfig) -> None:
    """Raise InputError with a line for every number of `config` that cannot work."""
    values = dataclasses.asdict(config)
    positive = ("count", "stride", "short_side", "long_side")
    faults = [
        *_faults(values, positive, "1 or more", lambda x: x >= 1),
        *_faults(values, ["max_frames"], "0 or more", lambda x: x >= 0),
        *_faults(values, ["score"], "from 0 to 1", lambda x: 0 <= x <= 1),
    ]
    _refuse("prediction", faults)


def _eval_faults(config: EvalConfig, prefix: str) -> list[str]:
    values = dataclasses.asdict(config)
    faults = _faults(values, _EVAL_POSITIVE, "1 or more", lambda x: x >= 1)
    return [prefix + fault for fault in faults]


def _faults(values: Mapping[str, Any], names: Any, expected: str, good: Any) -> list[str]:
    found = ((name, _at(values, name)) for name in names)
    return [
        f"{name}: must be {expected}, not {value}"
        for name, value in found
        if not (math.isfinite(value) and good(value))
    ]


def _at(values: Mapping[str, Any], name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


def _refuse(what: str, faults: list[str]) -> None:
    if faults:
        raise InputError("\n".join(f"{what}: {fault}" for fault in faults))
