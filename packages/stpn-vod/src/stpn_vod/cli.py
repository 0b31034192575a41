"""`stpn vod`: train, evaluate and predict. Each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stpn_core.command import Verb, run_verb
from stpn_core.hub.verbs import hub_verbs
from stpn_core.recipe_verbs import recipe_verbs


def main(argv: Sequence[str]) -> int:
    """Video object detection."""
    return run_verb("vod", "Video object detection.", VERBS, argv)


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


_RECIPES = recipe_verbs("vod")
VERBS: dict[str, Verb] = {
    "train": _RECIPES["train"],
    "eval": evaluate,
    "predict": predict,
    "explain": explain,
    "export": export,
    **hub_verbs("vod"),
    "app": app,
    "demo": demo,
    "recipes": _RECIPES["recipes"],
}
