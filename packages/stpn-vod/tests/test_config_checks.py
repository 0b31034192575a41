from __future__ import annotations

import dataclasses

import pytest

from stpn_core.errors import InputError
from stpn_vod.config import EvalConfig
from stpn_vod.config_checks import check_eval, check_predict, check_recipe
from stpn_vod.predict_config import PredictConfig
from stpn_vod.recipes import RECIPES, get_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes(name):
    check_recipe(get_recipe(name))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("optim", "lr", 0.0),
        ("optim", "lr", float("nan")),
        ("optim", "lr", float("inf")),
        ("optim", "batch_size", 0),
        ("optim", "accumulate", 0),
        ("optim", "warmup_steps", -1),
        ("optim", "warmup_ratio", 1.5),
        ("optim", "clip_norm", -1.0),
        ("optim", "ema", 1.0),
        ("optim", "drop_at", (0.9, 0.7)),
        ("optim", "drop_at", (6.0,)),
        ("optim", "steps", -5),
        ("run", "save_every", 0),
        ("run", "log_every", 0),
        ("run", "keep", 0),
        ("run", "validate_every", -1),
        ("run", "timeout", 0.0),
        ("data", "workers", -1),
        ("data", "flip", 1.1),
        ("data", "support_count", 0),  # the auxiliary loss of the recipe looks at support
        ("eval", "every", 0),
        ("eval", "batch_size", 0),
    ],
)
def test_a_number_that_cannot_work_is_named(part, name, value):
    recipe = get_recipe("own")
    bad = dataclasses.replace(
        recipe, **{part: dataclasses.replace(getattr(recipe, part), **{name: value})}
    )
    with pytest.raises(InputError, match=name):
        check_recipe(bad)


def test_nothing_to_train_is_named():
    recipe = get_recipe("own")
    optim = dataclasses.replace(recipe.optim, steps=0, epochs=0.0)
    with pytest.raises(InputError, match="nothing to train"):
        check_recipe(dataclasses.replace(recipe, optim=optim))


def test_all_faults_come_at_once():
    with pytest.raises(InputError) as caught:
        check_eval(EvalConfig(every=0, stride=0, count=-1))
    assert len(str(caught.value).splitlines()) == 3
    check_eval(EvalConfig())
    check_predict(PredictConfig())
