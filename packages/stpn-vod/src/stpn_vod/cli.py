"""`stpn vod`: train, evaluate and predict. Each verb imports what it needs when it runs."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from stpn_core.errors import InputError

Verb = Callable[[Sequence[str]], int]


def main(argv: Sequence[str]) -> int:
    """Video object detection."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: stpn vod VERB ...\n\nVideo object detection.\n\nverbs:")
        for name, verb in VERBS.items():
            print(f"  {name:<8}  {(verb.__doc__ or '').splitlines()[0]}")
        print("\n`stpn vod VERB --help` explains a verb.")
        return 0
    if argv[0] not in VERBS:
        near = difflib.get_close_matches(argv[0], VERBS, 1)
        raise InputError(
            f"stpn vod has no verb {argv[0]!r}; "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(VERBS)}")
        )
    return VERBS[argv[0]](argv[1:])


def recipes(argv: Sequence[str]) -> int:
    """List the recipes, or show one completely: `stpn vod recipes [NAME] [--twin]`."""
    from stpn_vod.config import to_json, twin
    from stpn_vod.recipes import RECIPES, get_recipe

    names = [name for name in argv if not name.startswith("-")]
    if "-h" in argv or "--help" in argv:
        print(recipes.__doc__)
    elif names:
        recipe = get_recipe(names[0])
        print(to_json(twin(recipe) if "--twin" in argv else recipe), end="")
    else:
        for name, make in RECIPES.items():
            print(f"{name:<22}  {(make.__doc__ or '').splitlines()[0]}")
    return 0


def train(argv: Sequence[str]) -> int:
    """Train a recipe: `stpn vod train RECIPE --out DIR --data.root DATA`."""
    import tyro

    from stpn_vod.config import Recipe, from_json, twin
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
    name, rest = argv[0], argv[1:]
    start = from_json(_read(name), name) if name.endswith(".json") else get_recipe(name)

    @dataclasses.dataclass(frozen=True)
    class Command:
        out: Path
        """Run directory: checkpoints, config and logs go here."""
        recipe: Annotated[Recipe, tyro.conf.arg(name="")] = start
        twin: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
        """Train the matched single-frame twin instead."""
        resume: str = "auto"
        """auto continues what is there, none refuses it, a step number continues from that one."""

    command = tyro.cli(Command, args=list(rest), prog=f"stpn vod train {name}")

    from stpn_vod.train import train as run

    recipe = twin(command.recipe) if command.twin else command.recipe
    return run(recipe, command.out, resume=command.resume)


def evaluate(argv: Sequence[str]) -> int:
    """Evaluate weights on a data set: `stpn vod eval WEIGHTS --data.root DATA`."""
    from stpn_vod.eval_command import run

    return run(argv)


def predict(argv: Sequence[str]) -> int:
    """Draw boxes on a video, folder or glob: `stpn vod predict INPUT --weights W --out DIR`."""
    import tyro

    from stpn_vod.predict_config import PredictConfig

    defaults = PredictConfig()

    @dataclasses.dataclass(frozen=True)
    class Command:
        input: tyro.conf.Positional[str]
        """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
        weights: Path
        """Weights file or run directory."""
        out: Path
        """Folder for detections.jsonl and annotated.mp4."""
        device: str = "auto"
        config: Annotated[PredictConfig, tyro.conf.arg(name="")] = defaults

    command = tyro.cli(Command, args=list(argv), prog="stpn vod predict")

    from stpn_vod.device import choose_device
    from stpn_vod.model_file import load_trained
    from stpn_vod.predict import predict as run

    detector = load_trained(command.weights, choose_device(command.device))
    summary = run(detector, command.input, command.out, command.config)
    for problem in summary.problems:
        print(f"warning: {problem}", file=sys.stderr)
    print(f"{summary.frames} frames ({summary.status}) -> {command.out}")
    return 130 if summary.interrupted else 0


def demo(argv: Sequence[str]) -> int:
    """Synthesise degraded videos, train STPN and its twin, and report who wins."""
    from stpn_vod.demo.command import run

    return run(argv)


VERBS: dict[str, Verb] = {
    "train": train,
    "eval": evaluate,
    "predict": predict,
    "demo": demo,
    "recipes": recipes,
}


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
