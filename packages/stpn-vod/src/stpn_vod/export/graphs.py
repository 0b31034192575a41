"""The parts of a detector that are exported, each with its inputs and outputs by name."""

from __future__ import annotations

import torch

from stpn_core.export.graphs import Graph as Graph
from stpn_core.export.graphs import encoder_graphs, example_maps
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.head import ExportedHead


def graphs_of(detector: FasterRCNN, size: tuple[int, int]) -> list[Graph]:
    """All graphs of a detector for padded frames of `size` (H, W)."""
    head = Graph(
        "head",
        ExportedHead(detector),
        {"size": torch.tensor(size)} | example_maps(detector.stpn, size),
        ("boxes", "scores", "labels", "count"),
    )
    plain, *prompted = encoder_graphs(detector.stpn, size)
    return [plain, head, *prompted]
