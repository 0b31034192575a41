"""`stpn vot`: each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stpn_core.command import Verb, parse_flags, run_verb
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


def predict(argv: Sequence[str]) -> int:
    """Follow targets: `stpn vot predict INPUT --box x,y,w,h --weights W --out DIR`."""
    from stpn_vot.arguments import PredictArguments, read_box

    arguments = parse_flags(PredictArguments, argv, "stpn vot predict")
    boxes = [read_box(text) for text in arguments.box]

    from stpn_core.training import choose_device
    from stpn_vot.model_file import load_trained
    from stpn_vot.predict import predict as run

    tracker = load_trained(arguments.weights, choose_device(arguments.device))
    for note in tracker.notes:
        print(f"note: {note}", file=sys.stderr)
    summary = run(tracker, arguments.input, boxes, arguments.out, arguments.config)
    for problem in summary.problems:
        print(f"warning: {problem}", file=sys.stderr)
    state = "stopped early" if summary.exit_code else f"video {summary.status}"
    lost = f", {summary.lost} lost at the end" if summary.lost else ""
    print(f"{summary.frames} frames ({state}), {summary.targets} targets{lost} -> {arguments.out}")
    return summary.exit_code


_RECIPES = recipe_verbs("vot")
VERBS: dict[str, Verb] = {
    "train": _RECIPES["train"],
    "eval": evaluate,
    "predict": predict,
    "recipes": _RECIPES["recipes"],
}
