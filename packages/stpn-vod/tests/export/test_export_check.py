from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stpn_core.errors import NumericsError
from stpn_vod.detections import Detections
from stpn_vod.export import check as module
from stpn_vod.export.write import refuse_above
from stpn_vod.model_file import TrainedDetector
from stpn_vod.runner import ExportedModel, open_exported
from stpn_vod.runner.found import Found
from stpn_vod.runner.manifest import Check

BOXES = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
SCORES = np.array([0.9, 0.8], np.float32)
LABELS = np.array([0, 1])


def difference(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, limit: int = 100
) -> module.Apart:
    expected = Detections(*(torch.from_numpy(a.copy()) for a in (BOXES, SCORES, LABELS)))
    return module.apart(expected, Found(boxes, scores, labels), limit)


def test_the_difference_of_detections() -> None:
    same = module.Apart(0.0, 4, 0)
    assert difference(BOXES, SCORES, LABELS) == same
    assert difference(BOXES[::-1], SCORES[::-1], LABELS[::-1]) == same  # near scores may swap
    assert difference(BOXES + np.float32(0.25), SCORES, LABELS) == module.Apart(0.25, 4, 0)
    assert difference(BOXES, SCORES - np.float32(0.125), LABELS).largest == pytest.approx(0.125)
    assert difference(BOXES + 9, SCORES, LABELS) == module.Apart(0.0, 4, 4)
    assert difference(BOXES, SCORES, LABELS[::-1]) == module.Apart(0.0, 4, 4)
    assert difference(BOXES * np.nan, SCORES, LABELS) == module.Apart(0.0, 4, 4)
    assert difference(BOXES[:1], SCORES[:1], LABELS[:1]) == module.Apart(0.0, 3, 1)


def test_objects_on_the_edge_are_not_compared() -> None:
    boxes, labels = np.vstack([BOXES, BOXES[:1]]), np.array([0, 1, 2])
    weak, strong = np.array([0.9, 0.8, 0.01], np.float32), np.array([0.9, 0.8, 0.7], np.float32)
    assert difference(boxes, weak, labels) == module.Apart(0.0, 4, 0)
    assert difference(boxes, strong, labels) == module.Apart(0.0, 5, 1)
    assert difference(boxes, strong, labels, limit=3) == module.Apart(0.0, 4, 0)  # the last place


def test_a_difference_above_the_tolerance_is_refused() -> None:
    good, bad = Check("head", "64x96", "random", 1e-4), Check("encoder", "64x96", "real", 0.5)
    refuse_above([good], 1e-3, module.STRAYS)
    with pytest.raises(
        NumericsError, match=r"^encoder at 64x96 differs .* 5.0e-01 on real frames;"
    ):
        refuse_above([good, bad], 1e-3, module.STRAYS)
    with pytest.raises(NumericsError, match="head"):
        refuse_above([Check("head", "64x96", "random", float("nan"))], 1e-3, module.STRAYS)
    refuse_above([Check("head", "64x96", "random", 1e-4, 100, 2)], 1e-3, module.STRAYS)
    with pytest.raises(NumericsError, match="3 of 100 detections on one side only"):
        refuse_above([Check("head", "64x96", "random", 1e-4, 100, 3)], 1e-3, module.STRAYS)
    refuse_above([bad, Check("head", "64x96", "random", 1e-4, 100, 3)], float("inf"), module.STRAYS)


def differences(detector: TrainedDetector, exported: ExportedModel) -> dict[str, float]:
    graphs = exported.manifest.graphs[0]
    checks = module.check_graphs(detector.model, exported, graphs, module.random_samples(graphs))
    return {check.graph: max(check.largest, float(check.alone)) for check in checks}


@pytest.mark.parametrize("part", ["stpn.predictor.reduction", "stpn.encoder.body", "roi.fc1"])
def test_other_weights_are_found_out(small: TrainedDetector, folder: Path, part: str) -> None:
    exported = open_exported(folder, threads=1)
    assert max(differences(small, exported).values()) < 1e-3
    state = {name: value.clone() for name, value in small.model.state_dict().items()}
    with torch.no_grad():
        for name, parameter in small.model.named_parameters():
            if name.startswith(part) and parameter.ndim > 1:
                parameter.mul_(1.01)
    changed = differences(small, exported)
    small.model.load_state_dict(state)
    assert max(changed.values()) > 1e-3
    graph = {"stpn.predictor.reduction": "predictor", "stpn.encoder.body": "plain"}.get(
        part, "head"
    )
    assert changed[graph] > 1e-3
