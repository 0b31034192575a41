"""`stpn TASK train` and `stpn TASK recipes`, the same for every task."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from stpn_core.command import (
    Verb,
    list_recipes,
    parse_flags,
    pick_recipe,
    read_text,
    show_notes,
)
from stpn_core.errors import InputError
from stpn_core.settings import from_json, to_json


def recipe_verbs(task: str) -> dict[str, Verb]:
    """The two verbs of `stpn TASK`. Modules of the task's package, imported when one runs:

    `recipes` with RECIPES, functions by name. `config` with `Recipe` and `twin`, which makes a
    recipe's matched twin without prompts. `arguments` with TrainArguments (out, recipe, twin,
    resume) and RecipesArguments (name, twin). `train` with train(recipe, out, resume=...).
    """

    def part(name: str) -> Any:
        return import_module(f"stpn_{task}.{name}")

    def train(argv: Sequence[str]) -> int:
        from tyro import MISSING

        recipes = part("recipes").RECIPES
        if not argv or argv[0].startswith("-"):
            print(
                f"usage: stpn {task} train RECIPE|CONFIG.json --out DIR [--data.root DATA] [--twin]\n"
                "                      [--resume auto|none|STEP] [--any.field VALUE ...]\n\n"
                f"{train.__doc__}\n\nrecipes: {', '.join(recipes)}\n"
                f"`stpn {task} train RECIPE --help` lists every field with its default."
            )
            if argv and argv[0] in ("-h", "--help"):
                return 0
            raise InputError("say which recipe to train")
        if argv[0].endswith(".json"):
            start = from_json(part("config").Recipe, read_text(argv[0]), argv[0])
        else:
            start = pick_recipe(argv[0], recipes)
        kind = part("arguments").TrainArguments
        default = kind(out=MISSING, recipe=start)
        arguments = parse_flags(kind, argv[1:], f"stpn {task} train {argv[0]}", default)

        from tqdm.contrib.logging import logging_redirect_tqdm

        recipe = arguments.recipe
        if arguments.twin:
            recipe = part("config").twin(recipe)
        run = part("train").train
        show_notes("stpn_core", "stpn_data", f"stpn_{task}")
        with logging_redirect_tqdm():
            return int(run(recipe, arguments.out, resume=arguments.resume))

    def recipes(argv: Sequence[str]) -> int:
        arguments = parse_flags(part("arguments").RecipesArguments, argv, f"stpn {task} recipes")
        known = part("recipes").RECIPES
        if arguments.name:
            recipe = pick_recipe(arguments.name, known)
            print(to_json(part("config").twin(recipe) if arguments.twin else recipe), end="")
        elif arguments.twin:
            raise InputError(f"stpn {task} recipes --twin: name a recipe")
        else:
            list_recipes(known)
        return 0

    train.__doc__ = f"Train a recipe: `stpn {task} train RECIPE --out DIR --data.root DATA`."
    recipes.__doc__ = (
        f"List the recipes, or show one completely: `stpn {task} recipes [NAME] [--twin]`."
    )
    return {"train": train, "recipes": recipes}
