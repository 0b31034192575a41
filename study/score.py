"""The numbers of a test: AP50 by severity, by speed, and by speed on degraded frames alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.index import VideoIndex
from stpn_vod.coco_ap import FrameBoxes, coco_ap
from stpn_vod.evaluate import frames_to_test, ground_truth
from stpn_vod.severity import BINS, ap_by_severity, severities
from stpn_vod.vid_ap import mega_ap, vid_truth

DEGRADED = 0.4  # severity from which a frame counts as degraded: medium and severe
Numbers = dict[str, float]


@dataclass(frozen=True)
class Judge:
    """Holds detections against the annotation of a split, on every `every`-th frame."""

    index: VideoIndex
    severity: Mapping[int, float]
    every: int

    @staticmethod
    def of(index: VideoIndex, every: int) -> Judge:
        return Judge(index, severities(index), every)

    def scores(self, found: FrameBoxes) -> dict[str, Numbers]:
        """AP50 (COCO) of all frames, degraded frames and each severity; AP50 (MEGA) by speed."""
        tested = frames_to_test(self.index, self.every)
        spoiled = np.array([i for i in tested if self.severity[int(i)] >= DEGRADED], np.int64)
        by_severity = ap_by_severity(self.index, found, self.severity, self.every)
        severity = {"all": self._ap50(found, tested), "degraded": self._ap50(found, spoiled)}
        severity |= {group: numbers["AP50"] for group, numbers in by_severity.items()}
        return {
            "severity": severity,
            "speed": self._speed(found, tested),
            "degraded speed": self._speed(found, spoiled),
        }

    def frames(self) -> Numbers:
        """Tested frames of each severity."""
        tested = frames_to_test(self.index, self.every)
        values = np.array([self.severity[int(i)] for i in tested])
        counts = {"all": len(tested), "degraded": int((values >= DEGRADED).sum())}
        for group in BINS:
            counts[group.name] = int(((values >= group.low) & (values < group.high)).sum())
        return {name: float(count) for name, count in counts.items()}

    def _ap50(self, found: FrameBoxes, frames: NDArray[np.int64]) -> float:
        chosen = set(frames.tolist())
        truth = ground_truth(self.index, self.every, chosen.__contains__)
        inside = found.take(np.isin(found.frames, frames))
        return dict(coco_ap(truth, inside, self.index.classes))["AP50"]

    def _speed(self, found: FrameBoxes, frames: NDArray[np.int64]) -> Numbers:
        inside = found.take(np.isin(found.frames, frames))
        metrics = mega_ap(vid_truth(self.index, frames), inside, self.index.classes)
        names = {"AP50": "all", "AP50/slow": "slow", "AP50/medium": "medium", "AP50/fast": "fast"}
        return {names[m.name]: m.value for m in metrics if m.name in names}
