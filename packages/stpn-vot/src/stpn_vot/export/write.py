"""A tracker into a folder that other runtimes read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.export.graphs import Graph
from stpn_core.export.manifest import MANIFEST
from stpn_core.export.onnx_files import SharedWeights, onnx_model
from stpn_core.export.programs import program_of
from stpn_core.export.sessions import CPU
from stpn_core.export.write import (
    Say,
    Strays,
    check_request,
    made_with,
    new_export,
    refuse_above,
    report,
)
from stpn_core.runs.durable import write_new
from stpn_core.settings import to_json
from stpn_data.batch import MEAN, STD
from stpn_vot.export.check import Clip, check_graphs, random_clip
from stpn_vot.export.graphs import exportable, graphs_of
from stpn_vot.model_file import TrainedTracker
from stpn_vot.predict_config import PredictConfig
from stpn_vot.runner.manifest import VERSION, Manifest, TrackerGraphs
from stpn_vot.runner.model import ExportedTracker
from stpn_vot.tracking_config import TrackingConfig, check_tracking

_MADE_WITH = ("stpn-vot", "stpn-core", "torch", "timm", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class ExportConfig:
    """What is exported. tracking: crop sizes (0 for the weights' own), and how targets are followed
    unless the user of the export says otherwise; tolerance: the largest difference from torch."""

    tracking: TrackingConfig = field(default_factory=lambda: PredictConfig().tracking)
    opset: int = 20
    tolerance: float = 1e-3


def export(
    tracker: TrainedTracker,
    out: str | Path,
    config: ExportConfig | None = None,
    *,
    real: Clip | None = None,
    say: Say = print,
) -> Manifest:
    """Write the graphs of a tracker to the folder `out`, checked against torch on random frames and
    on `real` ones.

    `out` appears whole or not at all, in place of an earlier export. Raises InputError for what
    cannot be exported, NumericsError naming the graph if one differs by more than the tolerance.
    """
    config = config or ExportConfig()
    out = Path(out)
    tracking = tracker.tracking(config.tracking)
    check_tracking(tracking)
    if not config.tolerance > 0:
        raise InputError(f"--tolerance {config.tolerance}: must be greater than 0")
    check_request(
        onnx=True,
        program=None,
        opset=config.opset,
        sizes=(),
        pad_to=1,
        out=out,
        extra="stpn-vot[export]",
    )
    model = exportable(tracker.model)
    graphs = graphs_of(model, tracking.template_size, tracking.search_size)
    with new_export(out) as folder:
        names = _write_graphs(graphs, folder, config.opset, say)
        manifest = Manifest(
            format="stpn-vot-export",
            version=VERSION,
            source=tracker.source.name,
            mean=MEAN,
            std=STD,
            tracking=tracking,
            graphs=names,
            opset=config.opset,
            files={path.name: path.stat().st_size for path in sorted(folder.iterdir())},
            made_with=made_with(*_MADE_WITH),
        )
        exported = ExportedTracker(folder, manifest, threads=0, providers=[CPU])
        clips = [random_clip(), *([] if real is None else [real])]
        # against the weights as they are: folding the norms is part of the export
        checks = [check for clip in clips for check in check_graphs(tracker.model, exported, clip)]
        report(checks, _NO_STRAYS, say)
        refuse_above(checks, config.tolerance, _NO_STRAYS)
        manifest = replace(manifest, checks=tuple(checks))
        write_new(folder / MANIFEST, to_json(manifest).encode())
    return manifest


_NO_STRAYS = Strays("boxes", 1)


def _write_graphs(graphs: Sequence[Graph], folder: Path, opset: int, say: Say) -> TrackerGraphs:
    weights = SharedWeights(folder)
    names = {graph.name: f"{graph.name}.onnx" for graph in graphs}
    for graph in graphs:
        say(f"exporting {graph.name}")
        weights.save(onnx_model(graph, program_of(graph), opset), names[graph.name])
    weights.close()
    return TrackerGraphs(**names)
