"""An exported segmenter as functions of arrays, run by onnxruntime.

Q queries, C classes, D query width, H x W padded pixels; one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.export.manifest import Graphs
from stpn_core.export.model import Array, ExportedEncoder
from stpn_core.export.sessions import CPU, require_runtime
from stpn_vis.runner.manifest import Manifest, read_manifest


@dataclass(frozen=True, eq=False)
class Predictions:
    """Raw predictions of each query in one frame, float32.

    logits (Q, C + 1): classes, the last one "no object". masks (Q, H/4, W/4): logits, an object
    where they are above 0. embeddings (Q, D): by which queries of neighbouring frames are matched.
    """

    logits: Array
    masks: Array
    embeddings: Array


class ExportedModel(ExportedEncoder[Manifest]):
    """An exported encoder with a segmenter's head."""

    def segment(self, graphs: Graphs, maps: Sequence[Array]) -> Predictions:
        """Maps of a frame -> what every query says."""
        named = {f"map_{i}": level for i, level in enumerate(maps)}
        logits, masks, embeddings = self.sessions[graphs.head].run(
            ["logits", "masks", "embeddings"], named
        )
        return Predictions(logits[0], masks[0], embeddings[0])


def open_exported(
    folder: str | Path,
    *,
    threads: int = 0,
    providers: Sequence[str] = (CPU,),
) -> ExportedModel:
    """The model that `stpn vis export` wrote to `folder`.

    threads: of onnxruntime for one frame, 0 for all cores. providers: onnxruntime's, best first.
    Raises InputError if there is none, if it is damaged, or if onnxruntime is not installed.
    """
    manifest = read_manifest(folder)
    if not manifest.graphs:
        raise InputError(f"{folder}: exported for torch only; export it with --format onnx")
    require_runtime("stpn-vis[export]")
    return ExportedModel(Path(folder), manifest, threads=threads, providers=providers)
