from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.runs import RunDir, load_checkpoint
from stpn_core.settings import from_json
from stpn_core.training import World
from stpn_core.training.state import FIXED, check_same_run
from stpn_vod.config import Recipe
from stpn_vod.run_state import MAY_CHANGE, prepare

from .conftest import tiny_recipe

ALONE = World(0, 1, 0, torch.device("cpu"))


@pytest.fixture
def saved(trained):
    recipe = from_json(Recipe, (trained / "config.json").read_text())
    return recipe, load_checkpoint(RunDir(trained), "auto").state


def test_what_was_saved_is_put_back(saved):
    recipe, state = saved
    training = prepare(recipe, ALONE, state["clips"], resumed=True)
    assert training.restore(state, ALONE) == 4
    again = training.state(4, ALONE)
    assert again.keys() == state.keys()
    for name, value in state["model"].items():
        assert torch.equal(again["model"][name], value)
    assert again["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    assert torch.equal(again["rng"][0]["torch"], state["rng"][0]["torch"])


def test_another_number_of_processes_or_of_clips_is_refused(saved):
    recipe, state = saved
    training = prepare(recipe, ALONE, state["clips"], resumed=True)
    with pytest.raises(InputError, match=r"trained by 1 processes and 2 are here.*--init"):
        training.restore(state, World(0, 2, 0, torch.device("cpu")))
    fewer = dataclasses.replace(training, clips=state["clips"] - 1)
    with pytest.raises(InputError, match="restore the data"):
        fewer.restore(state, ALONE)


def test_resuming_does_not_ask_for_the_initial_weights_again(saved):
    recipe, state = saved
    gone = dataclasses.replace(recipe, init="/nowhere/weights.pth")
    assert prepare(gone, ALONE, state["clips"], resumed=True).restore(state, ALONE) == 4
    with pytest.raises(InputError, match="nowhere"):
        prepare(gone, ALONE, state["clips"], resumed=False)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("model", "num_prompts", 3),
        ("model", "arch", {"embed_dim": 16}),
        ("data", "short_sides", (32, 64)),
        ("data", "flip", 0.1),
        ("optim", "batch_size", 1),
        ("optim", "no_bias_decay", False),
        ("optim", "predictor_lr", 2.0),
        ("run", "seed", 5),
    ],
)
def test_what_decides_the_weights_may_not_change(part, name, value):
    recipe = tiny_recipe("data")
    saved = json.loads(json.dumps(dataclasses.asdict(recipe)))
    check_same_run(saved, recipe, MAY_CHANGE)
    other = dataclasses.replace(
        recipe, **{part: dataclasses.replace(getattr(recipe, part), **{name: value})}
    )
    with pytest.raises(InputError, match=rf"{part}\.{name}.*: was .*, now "):
        check_same_run(saved, other, MAY_CHANGE)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("data", "root", "moved"),
        ("data", "workers", 7),
        ("data", "val_split", ""),
        ("optim", "lr", 1.0),
        ("optim", "steps", 99),
        ("run", "save_every", 1),
        ("eval", "count", 2),
    ],
)
def test_what_does_not_may(part, name, value):
    recipe = tiny_recipe("data")
    saved = json.loads(json.dumps(dataclasses.asdict(recipe)))
    other = dataclasses.replace(
        recipe, **{part: dataclasses.replace(getattr(recipe, part), **{name: value})}
    )
    check_same_run(saved, other, MAY_CHANGE)


def test_a_setting_younger_than_the_run_had_its_default():
    recipe = tiny_recipe("data")
    saved = json.loads(json.dumps(dataclasses.asdict(recipe)))
    del saved["model"]["pad_to"]
    check_same_run(saved, recipe, MAY_CHANGE)
    other = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, pad_to=16))
    with pytest.raises(InputError, match=r"model\.pad_to: was 32, now 16"):
        check_same_run(saved, other, MAY_CHANGE)


def test_every_name_in_the_lists_exists():
    flat = dataclasses.asdict(tiny_recipe("data"))
    of_other_tasks = {"objective"}  # what is learned is a choice for some tasks only
    for name in (*(set(FIXED) - of_other_tasks), *MAY_CHANGE):
        place = flat
        for part in name.split("."):
            place = place[part]
