"""`stpn toy train` and `stpn toy recipes` of a task that is made up here."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
import tyro

from stpn_core.command import Verb
from stpn_core.errors import InputError
from stpn_core.recipe_verbs import recipe_verbs
from stpn_core.settings import STRICT, to_json


@dataclass(frozen=True)
class Optim:
    __pydantic_config__ = STRICT

    lr: float = 1.0


@dataclass(frozen=True)
class Recipe:
    __pydantic_config__ = STRICT

    name: str
    prompts: bool = True
    optim: Optim = field(default_factory=Optim)


@dataclass(frozen=True)
class TrainArguments:
    out: Path
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    twin: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    resume: str = "auto"


@dataclass(frozen=True)
class RecipesArguments:
    name: tyro.conf.Positional[str] = ""
    twin: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def small() -> Recipe:
    """A small one.

    More.
    """
    return Recipe("small")


def twin(recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, prompts=False)


Calls = list[tuple[Recipe, Path, str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What was trained, where and how resumed; the modules of a task lie in sys.modules."""
    made: Calls = []

    def train(recipe: Recipe, out: Path, *, resume: str) -> int:
        made.append((recipe, out, resume))
        return 7

    parts: dict[str, dict[str, Any]] = {
        "recipes": {"RECIPES": {"small": small}},
        "config": {"Recipe": Recipe, "twin": twin},
        "arguments": {"TrainArguments": TrainArguments, "RecipesArguments": RecipesArguments},
        "train": {"train": train},
    }
    for name, values in parts.items():
        module = ModuleType(f"stpn_toy.{name}")
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "stpn_toy", ModuleType("stpn_toy"))
    return made


@pytest.fixture
def verb(calls: Calls) -> Callable[[str], Verb]:
    return recipe_verbs("toy").__getitem__


def test_a_recipe_is_trained_with_the_fields_that_flags_give(verb, calls):
    argv = ["small", "--out", "run", "--optim.lr", "2", "--resume", "none"]
    assert verb("train")(argv) == 7
    assert calls == [(Recipe("small", optim=Optim(2.0)), Path("run"), "none")]


def test_a_file_is_a_recipe_and_the_twin_is_made_of_the_result(verb, calls, tmp_path):
    mine = Recipe("mine", optim=Optim(3.0))
    (tmp_path / "mine.json").write_text(to_json(mine))
    assert verb("train")([str(tmp_path / "mine.json"), "--out", "run", "--twin"]) == 7
    assert calls == [(twin(mine), Path("run"), "auto")]


def test_without_a_recipe_the_usage_is_shown(verb, calls, capsys):
    assert verb("train")(["--help"]) == 0
    assert "usage: stpn toy train RECIPE|CONFIG.json" in capsys.readouterr().out
    for argv in ([], ["--out", "run"]):
        with pytest.raises(InputError, match="say which recipe"):
            verb("train")(argv)
    with pytest.raises(InputError, match=r"did you mean small\?"):
        verb("train")(["smal", "--out", "run"])
    assert calls == []


def test_recipes_are_listed_and_shown(verb, capsys):
    assert verb("recipes")([]) == 0
    assert capsys.readouterr().out == "small  A small one.\n"
    assert verb("recipes")(["small", "--twin"]) == 0
    assert capsys.readouterr().out == to_json(twin(small()))
    with pytest.raises(InputError, match="stpn toy recipes --twin: name a recipe"):
        verb("recipes")(["--twin"])
