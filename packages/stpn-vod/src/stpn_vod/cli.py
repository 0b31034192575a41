"""`stpn vod`: train, evaluate and predict. Each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stpn_core.command import Verb, list_recipes, read_text, run_verb, show_notes
from stpn_core.errors import InputError
from stpn_core.hub.verbs import hub_verbs
from stpn_core.settings import from_json, to_json


def main(argv: Sequence[str]) -> int:
    """Video object detection."""
    return run_verb("vod", "Video object detection.", VERBS, argv)


def recipes(argv: Sequence[str]) -> int:
    """List the recipes, or show one completely: `stpn vod recipes [NAME] [--twin]`."""
    from stpn_vod.arguments import RecipesArguments, parse
    from stpn_vod.config import twin
    from stpn_vod.recipes import RECIPES, get_recipe

    arguments = parse(RecipesArguments, argv, "recipes")
    if arguments.name:
        recipe = get_recipe(arguments.name)
        print(to_json(twin(recipe) if arguments.twin else recipe), end="")
    elif arguments.twin:
        raise InputError("stpn vod recipes --twin: name a recipe")
    else:
        list_recipes(RECIPES)
    return 0


def train(argv: Sequence[str]) -> int:
    """Train a recipe: `stpn vod train RECIPE --out DIR --data.root DATA`."""
    from tyro import MISSING

    from stpn_vod.arguments import TrainArguments, parse
    from stpn_vod.config import Recipe, twin
    from stpn_vod.recipes import RECIPES, get_recipe

    if not argv or argv[0].startswith("-"):
        print(
            "usage: stpn vod train RECIPE|CONFIG.json --out DIR [--data.root DATA] [--twin]\n"
            "                      [--resume auto|none|STEP] [--any.field VALUE ...]\n\n"
            f"{train.__doc__}\n\nrecipes: {', '.join(RECIPES)}\n"
            "`stpn vod train RECIPE --help` lists every field with its default."
        )
        if argv and argv[0] in ("-h", "--help"):
            return 0
        raise InputError("say which recipe to train")
    written = argv[0].endswith(".json")
    start = from_json(Recipe, read_text(argv[0]), argv[0]) if written else get_recipe(argv[0])
    default = TrainArguments(out=MISSING, recipe=start)
    arguments = parse(TrainArguments, argv[1:], f"train {argv[0]}", default)

    from tqdm.contrib.logging import logging_redirect_tqdm

    from stpn_vod.train import train as run

    recipe = twin(arguments.recipe) if arguments.twin else arguments.recipe
    show_notes("stpn_core", "stpn_data", "stpn_vod")
    with logging_redirect_tqdm():
        return run(recipe, arguments.out, resume=arguments.resume)


def evaluate(argv: Sequence[str]) -> int:
    """Evaluate weights on a data set: `stpn vod eval WEIGHTS --data DATA`."""
    from stpn_vod.arguments import EvalArguments, parse

    arguments = parse(EvalArguments, argv, "eval")

    from stpn_vod.eval_command import run

    return run(arguments)


def predict(argv: Sequence[str]) -> int:
    """Draw boxes on a video, folder or glob: `stpn vod predict INPUT --weights W --out DIR`."""
    from stpn_vod.arguments import PredictArguments, parse

    arguments = parse(PredictArguments, argv, "predict")

    from stpn_vod.runner.manifest import is_exported

    if is_exported(arguments.weights):  # needs no torch
        from stpn_vod.runner.command import run as run_exported

        return run_exported(
            arguments.input, arguments.weights, arguments.out, arguments.config, arguments.device
        )

    from stpn_core.training import choose_device
    from stpn_vod.model_file import load_trained
    from stpn_vod.predict import predict as run

    detector = load_trained(arguments.weights, choose_device(arguments.device))
    summary = run(detector, arguments.input, arguments.out, arguments.config)
    for problem in summary.problems:
        print(f"warning: {problem}", file=sys.stderr)
    state = "stopped early" if summary.exit_code else f"video {summary.status}"
    print(f"{summary.frames} frames ({state}) -> {arguments.out}")
    return summary.exit_code


def app(argv: Sequence[str]) -> int:
    """Serve a local page that shows a clip with and without prompts: `stpn vod app WEIGHTS`."""
    from stpn_vod.app.arguments import AppArguments
    from stpn_vod.arguments import parse

    arguments = parse(AppArguments, argv, "app")

    from stpn_vod.app.serve import run

    return run(arguments)


def demo(argv: Sequence[str]) -> int:
    """Synthesise degraded videos, train STPN and its twin, and report who wins."""
    from stpn_vod.arguments import DemoArguments, parse

    arguments = parse(DemoArguments, argv, "demo")

    from stpn_vod.demo import run

    return run(arguments)


def explain(argv: Sequence[str]) -> int:
    """Look inside a detector: `stpn vod explain DATA_OR_VIDEO --weights W --out DIR`."""
    from stpn_vod.arguments import ExplainArguments, parse

    arguments = parse(ExplainArguments, argv, "explain")

    from stpn_vod.explain.command import run

    return run(arguments)


def export(argv: Sequence[str]) -> int:
    """Write a detector as ONNX, checked against torch: `stpn vod export WEIGHTS --out DIR`."""
    from stpn_vod.arguments import parse
    from stpn_vod.export.arguments import ExportArguments

    arguments = parse(ExportArguments, argv, "export")

    from stpn_vod.export.command import run

    return run(arguments)


VERBS: dict[str, Verb] = {
    "train": train,
    "eval": evaluate,
    "predict": predict,
    "explain": explain,
    "export": export,
    **hub_verbs("vod"),
    "app": app,
    "demo": demo,
    "recipes": recipes,
}
