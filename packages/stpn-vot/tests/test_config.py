from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_core.command import replace_in
from stpn_core.errors import InputError
from stpn_core.settings import from_json, to_json
from stpn_vot.build import build_tracker
from stpn_vot.config import Recipe, static, twin
from stpn_vot.config_checks import check_recipe
from stpn_vot.recipes import RECIPES, get_recipe

SECOND = [name for name in RECIPES if "_scores" in name]


def started(name: str) -> Recipe:
    """The recipe; one of the second stage with weights to start from, without which it is refused."""
    recipe = get_recipe(name)
    return dataclasses.replace(recipe, init="runs/boxes") if name in SECOND else recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_passes_survives_json_and_explains_itself(name):
    recipe = started(name)
    assert recipe.name == name
    check_recipe(recipe)
    assert from_json(Recipe, to_json(recipe)) == recipe
    assert RECIPES[name].__doc__


@pytest.mark.parametrize(
    "name", ["got10k_cvt21_1k", "got10k_cvt21_22k_paper_scores_static", "tiny"]
)
def test_the_network_of_a_recipe_can_be_built(name):
    model = get_recipe(name).model
    with torch.device("meta"):
        build_tracker(dataclasses.replace(model, num_classes=5 if model.prompt_aux else 0))


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "finetune_predictor"])
def test_the_twin_differs_in_prompts_only(name):
    recipe = started(name)
    plain = twin(recipe)
    assert not plain.model.uses_support
    check_recipe(plain)
    back = dataclasses.replace(
        plain.model, predictor=recipe.model.predictor, prompt_aux=recipe.model.prompt_aux
    )
    assert dataclasses.replace(plain, name=name, model=back) == recipe


def test_the_control_has_as_many_prompts_that_see_nothing():
    recipe = get_recipe("got10k_cvt21_1k")
    control = get_recipe("got10k_cvt21_1k_static")
    assert control == static(recipe)
    assert control.model.num_prompts == recipe.model.num_prompts
    assert (control.model.predictor, control.model.prompt_aux) == ("static", 0)
    back = dataclasses.replace(recipe.model, predictor="static", predictor_options={}, prompt_aux=0)
    assert control.model == back


def test_presets_differ_as_they_say():
    for size, encoder_lr in (("1k", 1.0), ("22k", 0.1)):
        default, paper = (get_recipe(f"got10k_cvt21_{size}{name}") for name in ("", "_paper"))
        assert (default.optim.lr, paper.optim.lr) == (1e-4, 1e-3)
        for recipe in (default, paper):
            optim, objective = recipe.optim, recipe.objective
            assert (optim.encoder_lr, optim.batch_size, optim.epochs) == (encoder_lr, 32, 500)
            assert (optim.weight_decay, optim.clip_norm, optim.drop_at) == (1e-4, 0.1, (400 / 500,))
            assert (objective.overlap_weight, objective.l1_weight) == (2, 5)
            assert (objective.stage, recipe.model.score, recipe.protocol) == (
                "boxes",
                False,
                "got10k",
            )
            assert recipe.init.endswith(f"IN-{size}.pth")
            second = get_recipe(f"{recipe.name}_scores")
            assert (second.optim.lr, second.optim.epochs, second.optim.drop_at) == (
                1e-4,
                40,
                (0.75,),
            )
            assert (second.objective.stage, second.model.score) == ("scores", True)
            assert second.model.frozen_head_norms
            assert second.model.predictor == recipe.model.predictor
    full = get_recipe("full_cvt21_22k")
    assert full.protocol == get_recipe("full_cvt21_22k_scores").protocol == "full"


def test_the_second_stage_says_what_it_starts_from():
    for name in SECOND:
        with pytest.raises(InputError, match=r"weights .or run directory. of the first"):
            check_recipe(get_recipe(name))


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("optim", {"batch_size": 0}, "optim.batch_size"),
        ("run", {"keep": 0}, "run.keep"),
        ("data", {"samples": 0}, "data.samples"),
        ("data", {"negatives": 1.5}, "data.negatives"),
        ("data", {"scale_jitter": -0.1}, "data.scale_jitter"),
        ("data", {"search_factor": 0.0}, "data.search_factor"),
        ("data", {"support_swap": 0.6, "support_dropout": 0.6}, "together 1 at most"),
        ("data", {"weights": (1.0, 2.0)}, "data.weights: 1 numbers"),
        ("data", {"lasot": "L"}, "without data.lasot"),
        ("data", {"train_split": "val"}, "without split val"),
        ("data", {"support_count": 0}, "model.prompt_aux: needs a predictor and"),
        ("model", {"predictor": None}, "model.prompt_aux: needs a predictor and"),
        ("objective", {"l1_weight": -1.0}, "objective.l1_weight"),
        ("objective", {"stage": "both"}, "objective.stage both: needs model.score"),
        (
            "objective",
            {"freeze": ("encoder", "box_head", "predictor")},
            "nothing is left to train",
        ),
        ("eval", {"slots": 0}, "slots"),
    ],
)
def test_what_cannot_work_is_named_before_anything_starts(part, values, said):
    recipe = get_recipe("got10k_cvt21_1k")
    check_recipe(recipe)
    with pytest.raises(InputError, match=said):
        check_recipe(replace_in(recipe, part, **values))
