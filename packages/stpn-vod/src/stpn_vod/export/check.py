"""How an exported detector's boxes differ from torch's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from stpn_core import Features
from stpn_core.export.check import Apart as Apart
from stpn_core.export.check import Sample as Sample
from stpn_core.export.check import check_graphs as check_any
from stpn_core.export.check import random_samples as random_samples
from stpn_core.export.manifest import Check, Graphs
from stpn_core.export.model import Array
from stpn_core.export.write import Strays
from stpn_vod.detections import Detections
from stpn_vod.detector import FasterRCNN
from stpn_vod.runner.found import Found
from stpn_vod.runner.model import ExportedModel

FLOOR = 0.05
"""Detections of lower scores may come and go with the last bit of a score and are not compared."""
NEAR = 8.0
"""Pixels within which two boxes can be the same object."""
STRAYS = Strays("detections", 50)
"""A pair that overlaps by just the limit may be one box here and two there."""


def check_graphs(
    detector: FasterRCNN, exported: ExportedModel, graphs: Graphs, samples: Sequence[Sample]
) -> list[Check]:
    """The largest difference of every graph over samples of one kind, which support each other;
    boxes in pixels."""

    def compare(features: Features, sample: Sample, maps: Sequence[Array]) -> Apart:
        found = detector.detect(features, torch.tensor([sample.size]))[0]
        given = exported.detect(graphs, maps, sample.size)
        return apart(found, given, detector.roi.postprocess.limit)

    return check_any(detector.stpn, exported, graphs, samples, compare)


def apart(expected: Detections, given: Found, limit: int) -> Apart:
    """How two lists of detections differ: the largest difference of coordinates (pixels) and scores,
    each object with its like, and those that have none within `NEAR` pixels.

    Compared are all objects whose place in the list does not hang on the last bit of a score: those
    above FLOOR, and above the weakest one where the list is full with `limit` objects.
    """
    boxes = expected.boxes.numpy(), given.boxes
    scores = expected.scores.numpy(), given.scores
    labels = expected.labels.numpy(), given.labels
    full = [float(s.min()) + 1e-3 for s in scores if len(s) >= limit]
    largest, compared, alone = 0.0, 0, 0
    for this, other in ((0, 1), (1, 0)):
        for i in np.flatnonzero(scores[this] > max([FLOOR, *full])):
            far = np.abs(boxes[other] - boxes[this][i]).max(axis=1, initial=0.0)
            far = np.maximum(far, np.abs(scores[other] - scores[this][i]))
            nearest = float(far[labels[other] == labels[this][i]].min(initial=np.inf))
            compared += 1
            if nearest <= NEAR:
                largest = max(largest, nearest)
            else:  # also what is not finite
                alone += 1
    return Apart(largest, compared, alone)
