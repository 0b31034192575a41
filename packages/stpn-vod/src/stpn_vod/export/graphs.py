"""The parts of a detector that are exported, each with its inputs and outputs by name."""

from __future__ import annotations

import torch

from stpn_core.export.graphs import Graph as Graph
from stpn_core.export.graphs import encoder_graphs, example_maps, whole_size
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.head import ExportedHead

_EXAMPLE = (6, 8)
"""Height and width of an example in units of what frames are padded to, not the same, so that no
exporter takes them for one."""


def graphs_of(detector: FasterRCNN, size: tuple[int, int] | None) -> list[Graph]:
    """All graphs of a detector for padded frames of `size` (H, W), or of any size."""
    pad_to, strides = detector.pad_to, detector.stpn.encoder.strides
    any_size = size is None
    height, width = size or (_EXAMPLE[0] * pad_to, _EXAMPLE[1] * pad_to)
    maps = example_maps(detector.stpn, (height, width))
    free = zip(maps, (whole_size(stride, pad_to) for stride in strides), strict=True)
    head = Graph(
        "head",
        ExportedHead(detector),
        {"size": torch.tensor([height, width])} | maps,
        ("boxes", "scores", "labels", "count"),
        dict(free) if any_size else {},
    )
    plain, *prompted = encoder_graphs(
        detector.stpn, (height, width), any_size=any_size, pad_to=pad_to
    )
    return [plain, head, *prompted]
