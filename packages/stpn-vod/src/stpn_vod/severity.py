"""AP by how badly a frame is degraded, for data that says so (`stpn data synthesize`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.synthesize import severity_of
from stpn_vod.coco_ap import FrameBoxes, coco_ap
from stpn_vod.evaluate import ground_truth


@dataclass(frozen=True)
class SeverityBin:
    """Frames with low <= severity < high (the last bin includes 1)."""

    name: str
    low: float
    high: float


BINS = (
    SeverityBin("clean", 0.0, 1e-9),
    SeverityBin("mild", 1e-9, 0.4),
    SeverityBin("medium", 0.4, 0.7),
    SeverityBin("severe", 0.7, 1.01),
)


def severities(index: VideoIndex) -> dict[int, float]:
    """Severity of every frame of `index`. Raises DataError if the data does not record it."""
    recorded = severity_of(index.root)
    found = {}
    for frame in range(index.num_frames):
        name = index.frame_name(frame)
        if name not in recorded:
            raise DataError(f"{index.root}: no severity is recorded for frame {name}")
        found[frame] = float(recorded[name][1])
    return found


def ap_by_severity(
    index: VideoIndex, found: FrameBoxes, severity: Mapping[int, float], every: int = 1
) -> dict[str, dict[str, float]]:
    """COCO numbers of each bin that holds frames, with `frames`, the number of them."""
    numbers: dict[str, dict[str, float]] = {}
    for group in BINS:
        chosen = {i for i, value in severity.items() if group.low <= value < group.high}
        truth = ground_truth(index, every, chosen.__contains__)
        if not len(truth):
            continue
        inside = np.isin(found.frames, np.array(sorted(chosen), np.int64))
        values = dict(coco_ap(truth, found.take(inside), index.classes))
        numbers[group.name] = {"frames": float(len(set(truth.frames.tolist()))), **values}
    return numbers
