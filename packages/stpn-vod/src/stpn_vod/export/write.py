"""A detector into a folder that other runtimes read."""

from __future__ import annotations

import copy
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from stpn_core.errors import InputError, NumericsError, StpnError
from stpn_core.runs.durable import remove_tree, sync_path, write_new
from stpn_core.settings import to_json
from stpn_data.batch import MEAN, STD
from stpn_data.fit import fit
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.check import Sample, check_graphs, check_program, random_samples
from stpn_vod.export.graphs import graphs_of
from stpn_vod.export.onnx_files import OPSETS, SharedWeights, onnx_model, require_onnx
from stpn_vod.export.programs import program_of
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig
from stpn_vod.runner.manifest import MANIFEST, VERSION, Check, Graphs, Manifest, is_exported
from stpn_vod.runner.model import ExportedModel

Size = tuple[int, int]
Say = Callable[[str], None]
_MADE_WITH = ("stpn-vod", "stpn-core", "torch", "timm", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class ExportConfig:
    """What is exported. sizes: padded (H, W) that graphs are made for, none for those of 16:9 and
    4:3 video; onnx, torch: which formats; predict: how frames are resized and supported, unless the
    user of the export says otherwise; tolerance: the largest difference from torch."""

    sizes: tuple[Size, ...] = ()
    onnx: bool = True
    torch: bool = False
    opset: int = 20
    predict: PredictConfig = field(default_factory=PredictConfig)
    tolerance: float = 1e-3


Frames = Callable[[Size], Sequence[Sample]]
"""Real frames at a padded size, to check the export on; none if there are none."""


def export(
    detector: TrainedDetector,
    out: str | Path,
    config: ExportConfig | None = None,
    *,
    real: Frames | None = None,
    say: Say = print,
) -> Manifest:
    """Write the graphs of a detector to the folder `out`, checked against torch.

    `out` appears whole or not at all, in place of an earlier export. Raises InputError for what
    cannot be exported, NumericsError naming the graph if one differs by more than the tolerance.
    """
    config = config or ExportConfig()
    out = Path(out)
    model = _exportable(detector)
    _check_config(config, model.pad_to, out)
    sizes = padded_sizes(config, model.pad_to)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror or error}") from error
    try:
        manifest = _manifest(detector, config)
        manifest = _write_graphs(model, partial, manifest, sizes, config, say)
        if config.onnx:
            checks = _check(model, partial, manifest, real)
            manifest = replace(manifest, checks=manifest.checks + checks)
        _report(manifest.checks, say)
        refuse_above(manifest.checks, config.tolerance)
        write_new(partial / MANIFEST, to_json(manifest).encode())
        sync_path(partial)
        if out.exists():
            remove_tree(out) if is_exported(out) else out.rmdir()
        os.rename(partial, out)
        sync_path(out.parent)
    except OSError as error:
        raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def padded_sizes(config: ExportConfig, pad_to: int = 32) -> tuple[Size, ...]:
    """The sizes to export, multiples of `pad_to` pixels, smallest first."""
    sides = config.predict.short_side, config.predict.long_side
    sizes = config.sizes or tuple(fit(shape, *sides) for shape in ((1080, 1920), (960, 1280)))
    padded = {(-(-h // pad_to) * pad_to, -(-w // pad_to) * pad_to) for h, w in sizes}
    return tuple(sorted(padded, key=lambda size: (size[0] * size[1], size)))


def _exportable(detector: TrainedDetector) -> FasterRCNN:
    if not isinstance(detector.model, FasterRCNN):
        raise InputError(
            f"{detector.source}: a detector with the SELSA head cannot be exported yet: its regions "
            "meet those of other frames, whose number no graph fixes. Export one with head "
            "faster_rcnn, or predict with the weights"
        )
    return copy.deepcopy(detector.model).to("cpu").float().eval()


def _check_config(config: ExportConfig, pad_to: int, out: Path) -> None:
    if not (config.onnx or config.torch):
        raise InputError("--format: choose onnx, torch or both")
    if config.onnx:
        require_onnx()
        if config.opset not in OPSETS:
            raise InputError(f"--opset {config.opset}: choose {OPSETS.start} to {OPSETS.stop - 1}")
    for height, width in config.sizes:
        if height < pad_to or width < pad_to or height % pad_to or width % pad_to:
            raise InputError(
                f"--size {height}x{width}: height and width must be multiples of {pad_to}, which "
                "frames are padded to"
            )
    if out.exists() and not is_exported(out) and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: there is something that is no export; name another folder")


def _manifest(detector: TrainedDetector, config: ExportConfig) -> Manifest:
    return Manifest(
        format="stpn-vod-export",
        version=VERSION,
        source=detector.source.name,
        classes=detector.classes,
        mean=MEAN,
        std=STD,
        pad_to=detector.config.pad_to,
        short_side=config.predict.short_side,
        long_side=config.predict.long_side,
        resampling=config.predict.resampling,
        policy=config.predict.policy,
        count=config.predict.count,
        stride=config.predict.stride,
        opset=config.opset if config.onnx else 0,
        made_with={name: found for name in _MADE_WITH if (found := _version(name))},
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _write_graphs(
    model: FasterRCNN,
    folder: Path,
    manifest: Manifest,
    sizes: Iterable[Size],
    config: ExportConfig,
    say: Say,
) -> Manifest:
    graphs, programs, checks = [], [], []
    weights = SharedWeights(folder) if config.onnx else None
    for size in sizes:
        names: dict[str, str] = {}
        saved: dict[str, str] = {}
        for graph in graphs_of(model, size):
            stem = f"{graph.name}-{size[0]}x{size[1]}"
            say(f"exporting {stem}")
            program = program_of(graph)
            if config.torch:
                checks.append(check_program(graph, program, f"{size[0]}x{size[1]}"))
                saved[graph.name] = f"{stem}.pt2"
                torch.export.save(program, folder / saved[graph.name])
            if weights is not None:
                names[graph.name] = f"{stem}.onnx"
                weights.save(onnx_model(graph, program, config.opset), names[graph.name])
        if names:
            graphs.append(Graphs(size[0], size[1], **names))
        if saved:
            programs.append(Graphs(size[0], size[1], **saved))
    if weights is not None:
        weights.close()
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return replace(
        manifest,
        graphs=tuple(graphs),
        programs=tuple(programs),
        files=files,
        checks=tuple(checks),
    )


def _check(
    model: FasterRCNN, folder: Path, manifest: Manifest, real: Frames | None
) -> tuple[Check, ...]:
    providers = ["CPUExecutionProvider"]
    exported = ExportedModel(folder, manifest, threads=0, providers=providers)
    checks: list[Check] = []
    for graphs in manifest.graphs:
        samples = [random_samples(graphs)]
        if real is not None:
            samples.append(list(real((graphs.height, graphs.width))))
        for kind in filter(None, samples):
            checks += check_graphs(model, exported, graphs, kind)
    return tuple(checks)


def _report(checks: Sequence[Check], say: Say) -> None:
    for check in checks:
        say(
            f"{check.graph:<17}  {check.size:>9}  {check.frames:<6} frames: "
            f"largest difference from torch {check.largest:.1e}{_counted(check)}"
        )


def refuse_above(checks: Sequence[Check], tolerance: float) -> None:
    """Raise NumericsError naming every check above the tolerance, or with more than one detection
    in 50 that only one side has; an infinite tolerance allows everything."""
    strays = math.isfinite(tolerance)
    bad = [
        c for c in checks if not c.largest <= tolerance or (strays and 50 * c.alone > c.compared)
    ]
    if bad:
        raise NumericsError(
            "\n".join(
                f"{c.graph} at {c.size} differs from torch by {c.largest:.1e} on {c.frames} frames"
                f"{_counted(c)}; {tolerance:.0e} is allowed (--tolerance). Nothing was written"
                for c in bad
            )
        )


def _counted(check: Check) -> str:
    if not check.compared:
        return ""
    return f", {check.alone} of {check.compared} detections on one side only"
