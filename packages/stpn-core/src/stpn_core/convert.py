"""`stpn convert`: a checkpoint from elsewhere, checked, renamed and written as safetensors."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.plugins import CONVERTERS, PluginBroken, find_plugins
from stpn_core.weights.checkpoint import Checkpoint, read_checkpoint, sha256_of
from stpn_core.weights.conversion import Conversion, From, convert_checkpoint
from stpn_core.weights.header import FORMAT
from stpn_core.weights.save import save_weights

Weights = tuple[dict[str, Tensor], dict[str, str]]


def main(argv: Sequence[str]) -> int:
    """Turn a checkpoint from elsewhere into safe STPN weights."""
    options = _parse(argv)
    target = Path(options.output)
    _check_target(target, options.force)
    checkpoint = read_checkpoint(options.input, allow_nan=options.allow_nan)
    if checkpoint.metadata.get("format") == FORMAT:
        raise InputError(f"{options.input}: these are STPN weights already")
    state, metadata = _convert(checkpoint, options.layout)
    with checkpoint.source.open("rb") as file:
        metadata["source_sha256"] = sha256_of(file)
    metadata["source"] = checkpoint.source.name
    save_weights(target, state, metadata, allow_nan=options.allow_nan)
    count = sum(tensor.numel() for tensor in state.values())
    print(f"wrote {target}: {len(state)} tensors, {count:,} numbers")
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="stpn convert",
        description="Read a torch (.pth), pickle (.pkl) or safetensors checkpoint of another "
        "codebase, check it (nothing in it is run), bring its weights to STPN's names and write "
        "safetensors.",
    )
    parser.add_argument("input", metavar="IN", help="checkpoint to read")
    parser.add_argument("output", metavar="OUT", help="safetensors file to write")
    parser.add_argument(
        "--from",
        dest="layout",
        default="auto",
        choices=("auto", "microsoft", "mmdet", "released", "timm"),
        help="codebase the checkpoint comes from (default: found out from its keys)",
    )
    parser.add_argument("--allow-nan", action="store_true", help="accept NaN and infinity")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")
    return parser.parse_args(list(argv))


def _check_target(target: Path, force: bool) -> None:
    if target.suffix != ".safetensors":
        raise InputError(f"{target}: the output is a safetensors file; name it *.safetensors")
    if not target.parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    if target.exists() and not force:
        raise InputError(f"{target} exists; --force replaces it")


def _convert(checkpoint: Checkpoint, layout: From) -> Weights:
    """By the task that knows the whole file, else backbone and predictor only."""
    for note in checkpoint.notes:
        print(f"note: {note}")
    where = str(checkpoint.source)
    if layout != "auto":  # a task finds the layout out by itself, so hold the user's word first
        convert_checkpoint(checkpoint.state, layout, where=where)
    done: dict[str, Weights] = {}
    for plugin in find_plugins(CONVERTERS):
        try:
            convert = plugin.load()
        except PluginBroken as error:
            print(f"warning: {error}", file=sys.stderr)
            continue
        result = convert(dict(checkpoint.state), dict(checkpoint.metadata))
        if result is not None:
            done[plugin.distribution] = result
    if len(done) > 1:
        raise InputError(f"{checkpoint.source}: claimed by {' and '.join(done)}; uninstall one")
    for owner, (state, metadata) in done.items():
        print(f"converted by {owner}")
        _print_groups(checkpoint.state, state)
        for key in json.loads(metadata.get("left_out", "[]")):
            print(f"  left out: {key!r}")
        for note in json.loads(metadata.get("notes", "[]")):
            print(f"note: {note}")
        return state, metadata
    conversion = convert_checkpoint(checkpoint.state, layout, where=where)
    _print_conversion(conversion)
    return conversion.state, conversion.metadata


def _print_conversion(conversion: Conversion) -> None:
    """One line per group of keys: where they were, where they are, how many."""
    rows: Counter[tuple[str, str]] = Counter()
    for key, target in conversion.renamed.items():
        rows[_group(key), _group(target) if target else "(computed anew)"] += 1
    for key, reason in conversion.ignored.items():
        rows[_group(key), f"(left out: {reason})"] += 1
    for key in conversion.unknown:
        rows[_group(key), "(left out: unknown)"] += 1
    print(f"read as {conversion.layout}")
    _print_table(rows)
    for key in conversion.unknown[:5]:
        print(f"warning: unknown key {key!r} left out", file=sys.stderr)


def _print_groups(before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    rows: Counter[tuple[str, str]] = Counter()
    for key in before:
        rows[_group(key), "read"] += 1
    for key in after:
        rows[_group(key), "written"] += 1
    _print_table(rows)


def _print_table(rows: Counter[tuple[str, str]]) -> None:
    width = max(len(group) for group, _ in rows)
    for (group, target), count in rows.items():
        print(f"  {group:<{width}}  {count:>5}  {target}")


def _group(key: str) -> str:
    parts = key.split(".")
    depth = 3 if parts[0] in ("detector", "stpn") else 2
    group = ".".join(parts[: min(depth, len(parts) - 1)]) or key
    return repr(group)[1:-1]  # names from a hostile file must not steer the terminal
