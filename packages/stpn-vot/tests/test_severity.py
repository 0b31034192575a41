"""AO by the severity that synthetic data records."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stpn_data.errors import DataError
from stpn_vot.metrics.got10k import Tracked, got10k
from stpn_vot.severity import got10k_by_severity, severities

SEVERITY = [0.0, 0.0, 0.2, 0.5, 0.5, 0.9]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    video = {
        "name": "val/GOT-10k_Val_000001",
        "scene": 0,
        "speed": "fast",
        "kind": ["clean", "clean", "blur", "blur", "blur", "blur"],
        "severity": SEVERITY,
        "classes": ["dots"],
        "motion_iou": [],
    }
    content = {"format": "stpn-synthetic", "version": 1, "arguments": {}, "videos": [video]}
    (tmp_path / "synthetic.json").write_text(json.dumps(content))
    (tmp_path / "val").mkdir()
    return tmp_path


def test_severities_are_found_from_the_data_set_and_from_its_split(root):
    lengths = {"GOT-10k_Val_000001": 6}
    assert severities(root, lengths) == {"GOT-10k_Val_000001": SEVERITY}
    assert severities(root / "val", lengths) == severities(root, lengths)
    with pytest.raises(
        DataError, match="recorded for 6 frames of GOT-10k_Val_000001, not for its 5"
    ):
        severities(root, {"GOT-10k_Val_000001": 5})
    with pytest.raises(DataError, match="only synthetic data"):
        severities(root.parent / "elsewhere", lengths)


def test_each_bin_counts_its_own_frames():
    truth = np.array([[0.0, 0, 10, 10]] * 6)
    boxes = truth[None].copy()
    boxes[0, 3, 0] = 100  # one of two medium frames is missed
    one = Tracked(truth, np.array([8.0, 8, 8, 8, 8, 0]), boxes, (200, 200))
    rows = got10k_by_severity({"a": one}, {"a": SEVERITY})
    assert {name: row.frames for name, row in rows.items()} == {"clean": 1, "mild": 1, "medium": 2}
    assert rows["medium"].ao == pytest.approx(0.5)
    assert rows["clean"].ao == rows["mild"].ao == pytest.approx(1)
    assert sum(row.ao * row.frames for row in rows.values()) == pytest.approx(
        4 * got10k({"a": one}).ao
    )
