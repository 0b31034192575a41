from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.settings import from_json, to_json
from stpn_vis.build import build_segmenter
from stpn_vis.config import EvalConfig, Recipe, twin
from stpn_vis.config_checks import check_eval, check_recipe
from stpn_vis.recipes import RECIPES, get_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_survives_json_and_explains_itself(name):
    recipe = get_recipe(name)
    assert recipe.name == name
    check_recipe(recipe)
    assert from_json(Recipe, to_json(recipe)) == recipe
    assert RECIPES[name].__doc__


@pytest.mark.parametrize("name", RECIPES)
def test_the_twin_differs_in_prompts_only(name):
    recipe = get_recipe(name)
    single = twin(recipe)
    assert not single.model.uses_support
    check_recipe(single)
    back = dataclasses.replace(
        single.model, predictor=recipe.model.predictor, prompt_aux=recipe.model.prompt_aux
    )
    assert dataclasses.replace(single, name=name, model=back) == recipe


def test_presets_differ_as_they_say():
    default, released, paper = (
        get_recipe(f"ytvis19_swin_t{preset}") for preset in ("", "_released", "_paper")
    )
    for recipe in (default, released, paper):
        optim = recipe.optim
        assert optim.batch_size * optim.accumulate == 64
        assert (optim.lr, optim.encoder_lr, optim.clip_norm, optim.steps) == (1e-4, 0.1, 0.01, 6000)
        assert [round(share * optim.steps) for share in optim.drop_at] == [4000]
        assert recipe.data.short_sides == (360, 480)
    assert (default.class_head, released.class_head) == ("coco", "drop")
    assert (default.run.precision, released.run.precision) == ("bf16", "fp16")
    assert released.model.num_prompts == default.model.num_prompts == 5
    assert (released.model.prompt_aux, released.data.support_dropout) == (0, 0)
    assert (paper.model.predictor, paper.model.num_prompts) == ("transformer", 7)
    assert (paper.eval.policy, paper.eval.count, paper.eval.stride) == ("window", 14, 8)
    for name, classes, steps, drop in (("ytvis21", 40, 8000, 5500), ("ovis", 25, 10000, 7000)):
        other = get_recipe(f"{name}_swin_t_released")
        assert other.model.num_classes == classes
        assert other.optim.steps == steps
        assert [round(share * steps) for share in other.optim.drop_at] == [drop]


def test_prompts_are_as_small_as_the_paper_says():
    recipe = get_recipe("ytvis19_swin_t_released")
    with torch.device("meta"):
        stpn, single = (build_segmenter(one.model) for one in (recipe, twin(recipe)))
    sizes = [sum(p.numel() for p in model.parameters()) for model in (stpn, single)]
    assert round((sizes[0] - sizes[1]) / 1e6, 2) == 0.11


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("optim", "lr", 0.0),
        ("optim", "drop_at", (0.9, 0.7)),
        ("run", "save_every", 0),
        ("data", "workers", -1),
        ("data", "draws", 0),
        ("data", "flip", 1.1),
        ("data", "support_count", 0),  # the auxiliary loss of the recipe looks at support
        ("model", "importance", 1.5),
        ("eval", "top", 0),
        ("eval", "stride", 0),
    ],
)
def test_a_number_that_cannot_work_is_named(part, name, value):
    recipe = get_recipe("own")
    changed = dataclasses.replace(getattr(recipe, part), **{name: value})
    with pytest.raises(InputError, match=name):
        check_recipe(dataclasses.replace(recipe, **{part: changed}))


def test_a_class_layer_has_to_come_from_somewhere():
    recipe = dataclasses.replace(get_recipe("own"), class_head="coco")
    for init in ("", "imagenet1k", "coco_maskrcnn"):
        with pytest.raises(InputError, match="class_head"):
            check_recipe(dataclasses.replace(recipe, init=init))
    check_recipe(dataclasses.replace(recipe, init="some.pkl"))


def test_all_faults_come_at_once():
    with pytest.raises(InputError) as caught:
        check_eval(EvalConfig(top=0, stride=0, count=-1))
    assert len(str(caught.value).splitlines()) == 3
    check_eval(EvalConfig())


def test_every_fault_of_a_file_is_named_at_once():
    values = json.loads(to_json(Recipe(name="x")))
    values["optim"]["lr"] = "fast"
    values["class_head"] = "some"
    values["data"]["wokers"] = 3
    with pytest.raises(InputError) as caught:
        from_json(Recipe, json.dumps(values), "my.json")
    assert all(
        part in str(caught.value) for part in ("my.json", "optim.lr", "class_head", "wokers")
    )
