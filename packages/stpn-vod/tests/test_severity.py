from __future__ import annotations

import pytest

from stpn_data.errors import DataError
from stpn_data.readers import open_dataset
from stpn_data.synthesize import severity_bin
from stpn_vod.coco_ap import coco_ap
from stpn_vod.evaluate import ground_truth
from stpn_vod.severity import BINS, ap_by_severity, severities


@pytest.mark.parametrize("value", [0.0, 1e-6, 0.1, 0.39, 0.4, 0.55, 0.7, 0.99, 1.0])
def test_bins_are_those_of_the_data(value):
    (name,) = (group.name for group in BINS if group.low <= value < group.high)
    assert name == severity_bin(value)


def test_frames_are_counted_once_each_in_their_bin(shapes):
    index = open_dataset(shapes, "val")
    severity = severities(index)
    assert set(severity) == set(range(index.num_frames))
    truth = ground_truth(index)
    numbers = ap_by_severity(index, truth, severity)
    assert len(numbers) > 1
    assert sum(group["frames"] for group in numbers.values()) == index.num_frames
    assert all(group["AP"] == 1.0 for group in numbers.values())
    assert sum(group["frames"] for group in ap_by_severity(index, truth, severity, 2).values()) == 8


def test_a_bin_sees_its_own_frames_alone(shapes):
    """Detections of the clean frames only: perfect there, nothing elsewhere."""
    index = open_dataset(shapes, "val")
    severity = severities(index)
    found = ground_truth(index, keep=lambda i: severity[i] == 0)
    numbers = ap_by_severity(index, found, severity)
    assert numbers["clean"]["AP50"] == 1.0
    assert all(group["AP50"] == 0.0 for name, group in numbers.items() if name != "clean")
    assert 0 < dict(coco_ap(ground_truth(index), found, index.classes))["AP50"] < 1


def test_data_that_does_not_say_is_refused(shapes, shared):
    with pytest.raises(DataError, match=r"synthetic\.json"):
        severities(open_dataset(shared / "data" / "vid_wnid", "val"))
