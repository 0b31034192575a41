"""`stpn vot`: each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stpn_core.command import Verb, parse_flags, run_verb
from stpn_core.hub.verbs import hub_verbs
from stpn_core.recipe_verbs import recipe_verbs


def main(argv: Sequence[str]) -> int:
    """Visual object tracking."""
    return run_verb("vot", "Visual object tracking.", VERBS, argv)


def evaluate(argv: Sequence[str]) -> int:
    """Numbers of trackers' results, or of weights: `stpn vot eval RESULTS --data GOT-10k`."""
    from stpn_vot.arguments import EvalArguments

    arguments = parse_flags(EvalArguments, argv, "stpn vot eval")

    from stpn_vot.eval_command import run

    return run(arguments)


def submit(argv: Sequence[str]) -> int:
    """Results for GOT-10k's server, checked: `stpn vot submit RESULTS --out FILE.zip`."""
    from stpn_vot.arguments import SubmitArguments

    arguments = parse_flags(SubmitArguments, argv, "stpn vot submit")

    from stpn_vot.submit_command import run

    return run(arguments)


def predict(argv: Sequence[str]) -> int:
    """Follow targets: `stpn vot predict INPUT --box x,y,w,h --weights W --out DIR`."""
    from stpn_vot.arguments import PredictArguments, read_box

    arguments = parse_flags(PredictArguments, argv, "stpn vot predict")
    boxes = [read_box(text) for text in arguments.box]

    from stpn_core.export.manifest import is_exported
    from stpn_vot.runner.command import run as run_exported
    from stpn_vot.runner.command import told

    if is_exported(arguments.weights):  # needs no torch
        a = arguments
        return run_exported(a.input, boxes, a.weights, a.out, a.config, a.device)

    from stpn_core.training import choose_device
    from stpn_vot.model_file import load_trained
    from stpn_vot.predict import predict as run

    tracker = load_trained(arguments.weights, choose_device(arguments.device))
    for note in tracker.notes:
        print(f"note: {note}", file=sys.stderr)
    summary = run(tracker, arguments.input, boxes, arguments.out, arguments.config)
    return told(summary, arguments.out)


def explain(argv: Sequence[str]) -> int:
    """Look inside a tracker: `stpn vot explain INPUT --box x,y,w,h --weights W --out DIR`."""
    from stpn_vot.explain.arguments import ExplainArguments

    arguments = parse_flags(ExplainArguments, argv, "stpn vot explain")

    from stpn_vot.explain.command import run

    return run(arguments)


def export(argv: Sequence[str]) -> int:
    """Write a tracker as ONNX, checked against torch: `stpn vot export --weights W --out DIR`."""
    from stpn_vot.export.arguments import ExportArguments

    arguments = parse_flags(ExportArguments, argv, "stpn vot export")

    from stpn_vot.export.command import run

    return run(arguments)


def demo(argv: Sequence[str]) -> int:
    """From nothing to a report, on a CPU, in minutes: `stpn vot demo --out DIR`."""
    from stpn_vot.arguments import DemoArguments

    arguments = parse_flags(DemoArguments, argv, "stpn vot demo")

    from stpn_vot.demo import run

    return run(arguments)


_RECIPES = recipe_verbs("vot")
VERBS: dict[str, Verb] = {
    "train": _RECIPES["train"],
    "eval": evaluate,
    "submit": submit,
    "predict": predict,
    "explain": explain,
    "export": export,
    **hub_verbs("vot"),
    "demo": demo,
    "recipes": _RECIPES["recipes"],
}
