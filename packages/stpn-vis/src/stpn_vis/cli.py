"""`stpn vis`: train, evaluate and predict. Each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stpn_core.command import Verb, run_verb
from stpn_core.hub.verbs import hub_verbs
from stpn_core.recipe_verbs import recipe_verbs


def main(argv: Sequence[str]) -> int:
    """Video instance segmentation."""
    return run_verb("vis", "Video instance segmentation.", VERBS, argv)


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


def explain(argv: Sequence[str]) -> int:
    """Look inside a segmenter: `stpn vis explain DATA_OR_VIDEO --weights W --out DIR`."""
    from stpn_vis.arguments import parse
    from stpn_vis.explain.arguments import ExplainArguments

    arguments = parse(ExplainArguments, argv, "explain")

    from stpn_vis.explain.command import run

    return run(arguments)


def export(argv: Sequence[str]) -> int:
    """Write a segmenter as ONNX, checked against torch: `stpn vis export WEIGHTS --out DIR`."""
    from stpn_vis.arguments import parse
    from stpn_vis.export.arguments import ExportArguments

    named = argv if not argv or argv[0].startswith("-") else ["--weights", *argv]
    arguments = parse(ExportArguments, named, "export")

    from stpn_vis.export.command import run

    return run(arguments)


_RECIPES = recipe_verbs("vis")
VERBS: dict[str, Verb] = {
    "train": _RECIPES["train"],
    "eval": evaluate,
    "predict": predict,
    "submit": submit,
    "export-weights": export_weights,
    **hub_verbs("vis"),
    "explain": explain,
    "export": export,
    "demo": demo,
    "recipes": _RECIPES["recipes"],
}
