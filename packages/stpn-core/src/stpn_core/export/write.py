"""A model's graphs into a folder that other runtimes read."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch

from stpn_core.errors import InputError, NumericsError, StpnError
from stpn_core.export.check import check_program
from stpn_core.export.graphs import Graph
from stpn_core.export.manifest import ANY, Check, Graphs, is_exported
from stpn_core.export.onnx_files import OPSETS, SharedWeights, onnx_model, require_onnx
from stpn_core.export.programs import program_of
from stpn_core.runs.durable import remove_tree, sync_path

Size = tuple[int, int]
SizeT = TypeVar("SizeT", bound="Size | None")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Written:
    """What `write_graphs` wrote: as ONNX, as programs of torch, bytes of every file, and how far the
    programs are from torch."""

    graphs: tuple[Graphs, ...]
    programs: tuple[Graphs, ...]
    files: dict[str, int]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Strays:
    """Things of which one in `one_in` may be on one side only, by rounding at a limit."""

    things: str
    one_in: int


@contextlib.contextmanager
def new_export(out: Path) -> Iterator[Path]:
    """A folder to write to, which becomes `out` at the end, whole or not at all, in place of an
    earlier export. Raises InputError if there can be none, StpnError if it cannot be written."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror or error}") from error
    try:
        yield partial
        sync_path(partial)
        if out.exists():
            remove_tree(out) if is_exported(out) else out.rmdir()
        os.rename(partial, out)
        sync_path(out.parent)
    except OSError as error:
        raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_request(
    *,
    onnx: bool,
    program: bool | None,
    opset: int,
    sizes: Sequence[Size],
    pad_to: int,
    out: Path,
    extra: str,
) -> None:
    """Raise InputError, naming the flag, for an export that cannot be made as asked. program: None
    where ONNX is the only format."""
    if not (onnx or program):
        raise InputError("--format: choose onnx, torch or both")
    if onnx:
        require_onnx(extra, "" if program is None else " (or choose --format torch)")
        if opset not in OPSETS:
            raise InputError(f"--opset {opset}: choose {OPSETS.start} to {OPSETS.stop - 1}")
    for height, width in sizes:
        if height < pad_to or width < pad_to or height % pad_to or width % pad_to:
            raise InputError(
                f"--size {height}x{width}: height and width must be multiples of {pad_to}, which "
                "frames are padded to"
            )
    if out.exists() and not is_exported(out) and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: there is something that is no export; name another folder")


def pad_sizes(sizes: Iterable[Size], pad_to: int) -> tuple[Size, ...]:
    """(H, W) of each as multiples of `pad_to` pixels, smallest first, each once."""
    padded = {(-(-h // pad_to) * pad_to, -(-w // pad_to) * pad_to) for h, w in sizes}
    return tuple(sorted(padded, key=lambda size: (size[0] * size[1], size)))


def write_graphs(
    graphs_of: Callable[[SizeT], Sequence[Graph]],
    folder: Path,
    sizes: Iterable[SizeT],
    *,
    onnx: bool,
    program: bool,
    opset: int,
    translation: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
    say: Say = print,
) -> Written:
    """Trace the graphs of every size and write them as ONNX, as programs of torch, or both.

    sizes: padded (H, W), None for graphs that take any.
    translation: see `onnx_model`.
    """
    graphs, programs, checks = [], [], []
    weights = SharedWeights(folder) if onnx else None
    for size in sizes:
        height, width = ANY if size is None else size
        label = f"{height}x{width}" if size else "any"
        names: dict[str, str] = {}
        saved: dict[str, str] = {}
        for graph in graphs_of(size):
            stem = f"{graph.name}-{label}"
            say(f"exporting {stem}")
            traced = program_of(graph)
            if program:
                checks.append(check_program(graph, traced, label))
                saved[graph.name] = f"{stem}.pt2"
                torch.export.save(traced, folder / saved[graph.name])
            if weights is not None:
                names[graph.name] = f"{stem}.onnx"
                weights.save(onnx_model(graph, traced, opset, translation), names[graph.name])
        if names:
            graphs.append(Graphs(height, width, **names))
        if saved:
            programs.append(Graphs(height, width, **saved))
    if weights is not None:
        weights.close()
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return Written(tuple(graphs), tuple(programs), files, tuple(checks))


def report(checks: Sequence[Check], strays: Strays, say: Say) -> None:
    """Say how far every graph is from torch."""
    for check in checks:
        say(
            f"{check.graph:<17}  {check.size:>9}  {check.frames:<6} frames: "
            f"largest difference from torch {check.largest:.1e}{_counted(check, strays)}"
        )


def refuse_above(checks: Sequence[Check], tolerance: float, strays: Strays) -> None:
    """Raise NumericsError naming every check above the tolerance, or with more strays than allowed;
    an infinite tolerance allows everything."""
    counting = math.isfinite(tolerance)
    bad = [
        c
        for c in checks
        if not c.largest <= tolerance or (counting and strays.one_in * c.alone > c.compared)
    ]
    if bad:
        raise NumericsError(
            "\n".join(
                f"{c.graph} at {c.size} differs from torch by {c.largest:.1e} on {c.frames} frames"
                f"{_counted(c, strays)}; {tolerance:.0e} is allowed (--tolerance). Nothing was "
                "written"
                for c in bad
            )
        )


def made_with(*packages: str) -> dict[str, str]:
    """Their versions, of those that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _counted(check: Check, strays: Strays) -> str:
    if not check.compared:
        return ""
    return f", {check.alone} of {check.compared} {strays.things} on one side only"


def parse_size(text: str) -> Size:
    """608x1024 -> height, width. Raises InputError naming --size."""
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise InputError(f"--size {text}: expected HEIGHTxWIDTH such as 608x1024")
    return int(found[1]), int(found[2])
