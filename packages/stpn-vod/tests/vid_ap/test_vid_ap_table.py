from __future__ import annotations

import json

import numpy as np
import pytest

from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.vid_ap import (
    COCO,
    FGFA,
    MEGA,
    VFE,
    Metric,
    VidTruth,
    ap50,
    ap50_record,
    ap50_table,
)


@pytest.fixture
def metrics() -> list[Metric]:
    """A slow 8 x 8 object found three pixels off, and a larger one missed."""
    rows = FrameBoxes(
        np.zeros(2, np.int64),
        np.array([[70.0, 70, 77, 77], [10, 10, 65, 65]]),
        np.zeros(2, np.int64),
        np.ones(2),
    )
    truth = VidTruth(rows, np.arange(1), np.full((1, 2), 200, np.int32), np.array([1.0, 0.95]))
    found = FrameBoxes(
        np.zeros(1, np.int64), np.array([[73.0, 73, 80, 80]]), np.zeros(1, np.int64), np.ones(1)
    )
    return ap50(truth, found, ("thing",), coco=0.25)


def test_one_row_for_each_definition(metrics):
    lines = ap50_table(metrics).splitlines()
    assert lines[0].split()[:5] == ["AP50", "all", "slow", "medium", "fast"]
    cells = {line.split()[0]: line.split()[1:5] for line in lines[1:]}
    assert cells == {
        "COCO": ["25.0", "-", "-", "-"],
        "MEGA": ["0.0", "0.0", "-", "-"],
        "VFE": ["0.0", "0.0", "-", "-"],
        "FGFA": ["50.0", "50.0", "-", "-"],  # tolerant of small boxes
    }
    for line, lineage in zip(lines[1:], (COCO, MEGA, VFE, FGFA), strict=True):
        assert line.endswith(lineage.comparable_with)


def test_the_record_says_how_each_number_was_made(metrics):
    record = json.loads(json.dumps(ap50_record(metrics)))
    assert list(record) == ["COCO", "MEGA", "VFE", "FGFA"]
    assert record["FGFA"]["values"]["AP50/slow/thing"] == 0.5
    assert record["FGFA"]["values"]["AP50/small/slow"] == 1.0
    assert record["MEGA"]["values"]["AP50/medium"] == -1.0
    for lineage in (COCO, MEGA, VFE, FGFA):
        assert record[lineage.name]["quirks"] == list(lineage.quirks)
        assert record[lineage.name]["comparable_with"] == lineage.comparable_with
