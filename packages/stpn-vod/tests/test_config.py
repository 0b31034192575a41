from __future__ import annotations

import dataclasses
import json

import pytest

from stpn_core.errors import InputError
from stpn_core.settings import from_json, to_json
from stpn_vod.config import Recipe, twin
from stpn_vod.recipes import RECIPES, get_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json_and_explains_itself(name):
    recipe = get_recipe(name)
    assert recipe.name == name
    again = from_json(Recipe, to_json(recipe))
    assert to_json(again) == to_json(recipe)
    assert RECIPES[name].__doc__


@pytest.mark.parametrize("name", RECIPES)
def test_the_twin_differs_in_prompts_and_references_only(name):
    recipe = get_recipe(name)
    single = twin(recipe)
    assert not single.model.uses_support
    back = dataclasses.replace(
        single,
        name=name,
        model=dataclasses.replace(
            single.model,
            predictor=recipe.model.predictor,
            prompt_aux=recipe.model.prompt_aux,
            head=recipe.model.head,
        ),
    )
    assert back == recipe


def test_presets_differ_as_they_say():
    default, released, paper = (
        get_recipe(n) for n in ("vid_swin_t", "vid_swin_t_released", "vid_swin_t_paper")
    )
    assert released.model.prompt_merge == "released"
    assert released.model.num_prompts == default.model.num_prompts == 5
    assert (released.model.prompt_aux, released.data.support_dropout) == (0, 0)
    assert (paper.model.predictor, paper.model.num_prompts) == ("transformer", 7)
    assert (paper.eval.policy, paper.eval.stride) == ("window", 8)
    for recipe in (default, released, paper):
        assert recipe.optim.lr == 2.5e-5
        assert recipe.optim.epochs == 9
        assert recipe.data.reach == 9


def test_every_fault_of_a_file_is_named_at_once():
    values = json.loads(to_json(Recipe(name="x")))
    values["optim"]["lr"] = "fast"
    values["model"]["num_prompts"] = 2.5
    values["data"]["wokers"] = 3
    with pytest.raises(InputError) as caught:
        from_json(Recipe, json.dumps(values), "my.json")
    text = str(caught.value)
    assert all(part in text for part in ("my.json", "optim.lr", "'fast'", "num_prompts", "wokers"))
    with pytest.raises(InputError, match="not JSON"):
        from_json(Recipe, "{", "my.json")


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(InputError, match="did you mean vid_swin_t"):
        get_recipe("vid_swint")
