"""How an exported segmenter's predictions differ from torch's."""

from __future__ import annotations

from collections.abc import Sequence

from stpn_core import Features
from stpn_core.export.check import Apart, Sample, check_graphs, relative
from stpn_core.export.manifest import Check, Graphs
from stpn_core.export.model import Array
from stpn_core.export.write import Strays
from stpn_vis.runner.model import ExportedModel
from stpn_vis.segmenter import Segmenter

STRAYS = Strays("mask pixels", 1000)
"""A mask's edge is where its logit is 0: pixels there may fall to either side."""


def check_segmenter(
    segmenter: Segmenter, exported: ExportedModel, graphs: Graphs, samples: Sequence[Sample]
) -> list[Check]:
    """The largest difference of every graph over samples of one kind, which support each other."""

    def compare(features: Features, sample: Sample, maps: Sequence[Array]) -> Apart:
        expected = segmenter.decode(features)
        given = exported.segment(graphs, maps)
        parts = (expected.logits[0], expected.masks[0], expected.embeddings[0])
        apart = relative(parts, (given.logits, given.masks, given.embeddings))
        sides = (expected.masks[0].numpy() > 0) != (given.masks > 0)
        return Apart(apart.largest, sides.size, int(sides.sum()))

    return check_graphs(segmenter.stpn, exported, graphs, samples, compare)
