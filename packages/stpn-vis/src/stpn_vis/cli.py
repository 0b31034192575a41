"""`stpn vis`: train, evaluate and predict. Each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stpn_core.command import Verb, list_recipes, read_text, run_verb, show_notes
from stpn_core.errors import InputError
from stpn_core.hub.verbs import hub_verbs
from stpn_core.settings import from_json, to_json


def main(argv: Sequence[str]) -> int:
    """Video instance segmentation."""
    return run_verb("vis", "Video instance segmentation.", VERBS, argv)


def recipes(argv: Sequence[str]) -> int:
    """List the recipes, or show one completely: `stpn vis recipes [NAME] [--twin]`."""
    from stpn_vis.arguments import RecipesArguments, parse
    from stpn_vis.config import twin
    from stpn_vis.recipes import RECIPES, get_recipe

    arguments = parse(RecipesArguments, argv, "recipes")
    if arguments.name:
        recipe = get_recipe(arguments.name)
        print(to_json(twin(recipe) if arguments.twin else recipe), end="")
    elif arguments.twin:
        raise InputError("stpn vis recipes --twin: name a recipe")
    else:
        list_recipes(RECIPES)
    return 0


def train(argv: Sequence[str]) -> int:
    """Train a recipe: `stpn vis train RECIPE --out DIR --data.root DATA`."""
    from tyro import MISSING

    from stpn_vis.arguments import TrainArguments, parse
    from stpn_vis.config import Recipe, twin
    from stpn_vis.recipes import RECIPES, get_recipe

    if not argv or argv[0].startswith("-"):
        print(
            "usage: stpn vis train RECIPE|CONFIG.json --out DIR [--data.root DATA] [--twin]\n"
            "                      [--resume auto|none|STEP] [--any.field VALUE ...]\n\n"
            f"{train.__doc__}\n\nrecipes: {', '.join(RECIPES)}\n"
            "`stpn vis train RECIPE --help` lists every field with its default."
        )
        if argv and argv[0] in ("-h", "--help"):
            return 0
        raise InputError("say which recipe to train")
    written = argv[0].endswith(".json")
    start = from_json(Recipe, read_text(argv[0]), argv[0]) if written else get_recipe(argv[0])
    default = TrainArguments(out=MISSING, recipe=start)
    arguments = parse(TrainArguments, argv[1:], f"train {argv[0]}", default)

    from tqdm.contrib.logging import logging_redirect_tqdm

    from stpn_vis.train import train as run

    recipe = twin(arguments.recipe) if arguments.twin else arguments.recipe
    show_notes("stpn_core", "stpn_data", "stpn_vis")
    with logging_redirect_tqdm():
        return run(recipe, arguments.out, resume=arguments.resume)


def evaluate(argv: Sequence[str]) -> int:
    """Evaluate weights on a data set: `stpn vis eval WEIGHTS --data DATA`."""
    from stpn_vis.arguments import EvalArguments, parse

    arguments = parse(EvalArguments, argv, "eval")

    from stpn_vis.eval_command import run

    return run(arguments)


def predict(argv: Sequence[str]) -> int:
    """Draw masks on a video, folder or glob: `stpn vis predict INPUT --weights W --out DIR`."""
    from stpn_vis.arguments import PredictArguments, parse

    arguments = parse(PredictArguments, argv, "predict")

    from stpn_vis.runner.manifest import is_exported

    if is_exported(arguments.weights):  # needs no torch
        from stpn_vis.runner.command import run as run_exported

        return run_exported(
            arguments.input, arguments.weights, arguments.out, arguments.config, arguments.device
        )

    from stpn_core.training import choose_device
    from stpn_vis.model_file import load_trained
    from stpn_vis.predict import predict as run

    segmenter = load_trained(arguments.weights, choose_device(arguments.device))
    summary = run(segmenter, arguments.input, arguments.out, arguments.config)
    for problem in summary.problems:
        print(f"warning: {problem}", file=sys.stderr)
    state = "stopped early" if summary.exit_code else f"video {summary.status}"
    print(f"{summary.frames} frames ({state}), {summary.objects} objects -> {arguments.out}")
    return summary.exit_code


def submit(argv: Sequence[str]) -> int:
    """Write and check results for a benchmark's server: `stpn vis submit WEIGHTS --data DATA`."""
    from stpn_vis.arguments import SubmitArguments, parse

    arguments = parse(SubmitArguments, argv, "submit")

    from stpn_vis.submit_command import run

    return run(arguments)


def export_weights(argv: Sequence[str]) -> int:
    """Weights for detectron2 or Transformers: `stpn vis export-weights WEIGHTS OUT --to NAME`."""
    from stpn_vis.arguments import ExportWeightsArguments, parse

    arguments = parse(ExportWeightsArguments, argv, "export-weights")

    from stpn_core.runs import weights_file
    from stpn_vis.export_weights import export_weights as run
    from stpn_vis.weights import read_segmenter

    exported = run(read_segmenter(weights_file(arguments.weights)), arguments.out, arguments.to)
    for key in exported.left_out:
        print(f"  left out: {key}")
    print(f"wrote {arguments.out}: {len(exported.state)} tensors for {arguments.to}")
    return 0


def demo(argv: Sequence[str]) -> int:
    """Synthesise occluded look-alikes, train STPN and its twin, and report who wins."""
    from stpn_vis.arguments import DemoArguments, parse

    arguments = parse(DemoArguments, argv, "demo")

    from stpn_vis.demo import run

    return run(arguments)


def export(argv: Sequence[str]) -> int:
    """Write a segmenter as ONNX, checked against torch: `stpn vis export WEIGHTS --out DIR`."""
    from stpn_vis.arguments import parse
    from stpn_vis.export.arguments import ExportArguments

    named = argv if not argv or argv[0].startswith("-") else ["--weights", *argv]
    arguments = parse(ExportArguments, named, "export")

    from stpn_vis.export.command import run

    return run(arguments)


VERBS: dict[str, Verb] = {
    "train": train,
    "eval": evaluate,
    "predict": predict,
    "submit": submit,
    "export-weights": export_weights,
    **hub_verbs("vis"),
    "export": export,
    "demo": demo,
    "recipes": recipes,
}
