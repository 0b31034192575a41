"""A segmenter into a folder that other runtimes read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stpn_core.export.check import Sample, random_samples
from stpn_core.export.manifest import MANIFEST, Check
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
from stpn_vis.export.check import STRAYS, check_segmenter
from stpn_vis.export.graphs import exportable, graphs_of
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.network_input import PAD_TO
from stpn_vis.predict_config import PredictConfig
from stpn_vis.runner.manifest import FORMAT, VERSION, Manifest
from stpn_vis.runner.model import ExportedModel
from stpn_vis.segmenter import Segmenter

_MADE_WITH = ("stpn-vis", "stpn-core", "torch", "timm", "onnx", "onnxscript", "onnxruntime")


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
    segmenter: TrainedSegmenter,
    out: str | Path,
    config: ExportConfig | None = None,
    *,
    real: Frames | None = None,
    say: Say = print,
) -> Manifest:
    """Write the graphs of a segmenter to the folder `out`, checked against torch.

    `out` appears whole or not at all, in place of an earlier export. Raises InputError for what
    cannot be exported, NumericsError naming the graph if one differs by more than the tolerance.
    """
    config = config or ExportConfig()
    out = Path(out)
    check_request(
        onnx=config.onnx,
        program=config.torch,
        opset=config.opset,
        sizes=config.sizes,
        pad_to=PAD_TO,
        out=out,
        extra="stpn-vis[export]",
    )
    model = exportable(segmenter.model)

    with new_export(out) as folder:
        written = write_graphs(
            lambda size: graphs_of(model, size),
            folder,
            padded_sizes(config),
            onnx=config.onnx,
            program=config.torch,
            opset=config.opset,
            say=say,
        )
        manifest = replace(
            _manifest(segmenter, config),
            graphs=written.graphs,
            programs=written.programs,
            files=written.files,
            checks=written.checks,
        )
        if config.onnx:
            checks = _check(model, folder, manifest, real)
            manifest = replace(manifest, checks=manifest.checks + checks)
        report(manifest.checks, STRAYS, say)
        refuse_above(manifest.checks, config.tolerance, STRAYS)
        write_new(folder / MANIFEST, to_json(manifest).encode())
    return manifest


def padded_sizes(config: ExportConfig) -> tuple[Size, ...]:
    """The sizes to export, multiples of 32 pixels, smallest first."""
    sides = config.predict.short_side, config.predict.long_side
    sizes = config.sizes or tuple(fit(shape, *sides) for shape in ((1080, 1920), (960, 1280)))
    return pad_sizes(sizes, PAD_TO)


def _manifest(segmenter: TrainedSegmenter, config: ExportConfig) -> Manifest:
    return Manifest(
        format=FORMAT,
        version=VERSION,
        source=segmenter.source.name,
        classes=segmenter.classes,
        mean=MEAN,
        std=STD,
        pad_to=PAD_TO,
        short_side=config.predict.short_side,
        long_side=config.predict.long_side,
        policy=config.predict.policy,
        count=config.predict.count,
        stride=config.predict.stride,
        opset=config.opset if config.onnx else 0,
        made_with=made_with(*_MADE_WITH),
    )


def _check(
    model: Segmenter, folder: Path, manifest: Manifest, real: Frames | None
) -> tuple[Check, ...]:
    exported = ExportedModel(folder, manifest, threads=0, providers=[CPU])
    checks: list[Check] = []
    for graphs in manifest.graphs:
        samples = [random_samples(graphs)]
        if real is not None:
            samples.append(list(real((graphs.height, graphs.width))))
        for kind in filter(None, samples):
            checks += check_segmenter(model, exported, graphs, kind)
    return tuple(checks)
