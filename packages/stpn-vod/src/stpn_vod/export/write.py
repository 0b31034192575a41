"""A detector into a folder that other runtimes read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.export.manifest import ANY, MANIFEST, Check, at_size
from stpn_core.export.sessions import CPU
from stpn_core.export.write import (
    Say,
    Size,
    check_request,
    made_with,
    new_export,
    pad_sizes,
    refuse_above,
    report,
    write_graphs,
)
from stpn_core.runs.durable import write_new
from stpn_core.settings import to_json
from stpn_data.batch import MEAN, STD
from stpn_data.fit import fit
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.check import STRAYS, Sample, check_graphs, random_samples
from stpn_vod.export.graphs import graphs_of
from stpn_vod.export.suppression import onnx_translation
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig
from stpn_vod.runner.manifest import VERSION, Manifest
from stpn_vod.runner.model import ExportedModel

_MADE_WITH = ("stpn-vod", "stpn-core", "torch", "timm", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class ExportConfig:
    """What is exported. sizes: padded (H, W) that graphs are made for, none for those of 16:9 and
    4:3 video; any_size: graphs that take every size, instead of these or beside those that are
    named; onnx, torch: which formats; predict: how frames are resized and supported, unless the
    user of the export says otherwise; tolerance: the largest difference from torch."""

    sizes: tuple[Size, ...] = ()
    any_size: bool = False
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
    check_request(
        onnx=config.onnx,
        program=config.torch,
        opset=config.opset,
        sizes=config.sizes,
        pad_to=model.pad_to,
        out=out,
        extra="stpn-vod[export]",
    )
    with new_export(out) as folder:
        written = write_graphs(
            lambda size: graphs_of(model, size),
            folder,
            _exported_sizes(config, model.pad_to),
            onnx=config.onnx,
            program=config.torch,
            opset=config.opset,
            translation=onnx_translation() if config.onnx else None,
            say=say,
        )
        manifest = replace(
            _manifest(detector, config),
            graphs=written.graphs,
            programs=written.programs,
            files=written.files,
            checks=written.checks,
        )
        if config.onnx:
            checks = _check(model, folder, manifest, padded_sizes(config, model.pad_to), real)
            manifest = replace(manifest, checks=manifest.checks + checks)
        report(manifest.checks, STRAYS, say)
        refuse_above(manifest.checks, config.tolerance, STRAYS)
        write_new(folder / MANIFEST, to_json(manifest).encode())
    return manifest


def padded_sizes(config: ExportConfig, pad_to: int = 32) -> tuple[Size, ...]:
    """The sizes to export, multiples of `pad_to` pixels, smallest first."""
    sides = config.predict.short_side, config.predict.long_side
    sizes = config.sizes or tuple(fit(shape, *sides) for shape in ((1080, 1920), (960, 1280)))
    return pad_sizes(sizes, pad_to)


def _exported_sizes(config: ExportConfig, pad_to: int) -> list[Size | None]:
    """What graphs are made for; None is any size."""
    if not config.any_size:
        return list(padded_sizes(config, pad_to))
    return [None, *(padded_sizes(config, pad_to) if config.sizes else ())]


def _exportable(detector: TrainedDetector) -> FasterRCNN:
    if not isinstance(detector.model, FasterRCNN):
        raise InputError(
            f"{detector.source}: a detector with the SELSA head cannot be exported yet: its regions "
            "meet those of other frames, whose number no graph fixes. Export one with head "
            "faster_rcnn, or predict with the weights"
        )
    return copy.deepcopy(detector.model).to("cpu").float().eval()


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
        made_with=made_with(*_MADE_WITH),
    )


def _check(
    model: FasterRCNN,
    folder: Path,
    manifest: Manifest,
    sizes: Sequence[Size],
    real: Frames | None,
) -> tuple[Check, ...]:
    """Graphs of every size, those that take any at all of `sizes`."""
    exported = ExportedModel(folder, manifest, threads=0, providers=[CPU])
    checks: list[Check] = []
    fixed = [g for g in manifest.graphs if (g.height, g.width) != ANY]
    free = [g for g in manifest.graphs if (g.height, g.width) == ANY]
    placed = [at_size(g, size, model.pad_to) for g in free for size in sizes]
    for graphs in fixed + placed:
        samples = [random_samples(graphs)]
        if real is not None:
            samples.append(list(real((graphs.height, graphs.width))))
        for kind in filter(None, samples):
            checks += check_graphs(model, exported, graphs, kind)
    return tuple(checks)
