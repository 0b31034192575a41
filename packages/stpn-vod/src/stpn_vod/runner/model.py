"""An exported detector as functions of arrays, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stpn_core.errors import InputError
from stpn_core.export.manifest import Graphs
from stpn_core.export.model import Array as Array
from stpn_core.export.model import ExportedEncoder
from stpn_core.export.sessions import CPU, require_runtime
from stpn_vod.runner.found import Found
from stpn_vod.runner.manifest import Manifest, read_manifest


class ExportedModel(ExportedEncoder[Manifest]):
    """An exported encoder with a detector's head."""

    def detect(self, graphs: Graphs, maps: Sequence[Array], size: tuple[int, int]) -> Found:
        """Maps of a frame of network size (h, w) before padding -> its objects, in those pixels."""
        named = {f"map_{i}": level for i, level in enumerate(maps)}
        boxes, scores, labels, count = self.sessions[graphs.head].run(
            ["boxes", "scores", "labels", "count"], named | {"size": np.array(size, np.int64)}
        )
        return Found(boxes[:count], scores[:count], labels[:count])


def open_exported(
    folder: str | Path,
    *,
    threads: int = 0,
    providers: Sequence[str] = (CPU,),
) -> ExportedModel:
    """The model that `stpn vod export` wrote to `folder`.

    Raises InputError if there is none, if it is damaged, or if onnxruntime is not installed.
    """
    manifest = read_manifest(folder)
    if not manifest.graphs:
        raise InputError(f"{folder}: exported for torch only; export it with --format onnx")
    require_runtime("stpn-vod[export]")
    return ExportedModel(Path(folder), manifest, threads=threads, providers=providers)
