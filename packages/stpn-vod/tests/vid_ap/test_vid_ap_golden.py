"""Agreement with the published evaluators, run on synthetic videos."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stpn_vod.coco_ap import coco_ap
from stpn_vod.motion import motion_iou
from stpn_vod.vid_ap import AREAS, fgfa_ap, mega_ap, vfe_ap, vid_truth
from stpn_vod.vid_ap.fgfa import ANY_AREA

SPEEDS = ("all", "slow", "medium", "fast")
EXACT = 1e-12


def expected(results, speed: str, prefix: str = "AP50") -> dict[str, float]:
    """Names of ours -> values of theirs; classes they leave out are -1 here."""
    name = prefix if speed == "all" else f"{prefix}/{speed}"
    values = {f"{name}/{label}": -1.0 for label in range(1, 31)}
    values |= {f"{name}/{label}": value for label, value in results[speed]["ap"].items()}
    mean = results[speed]["map"]
    return {name: -1.0 if mean is None else mean, **values}


def compare(metrics, want: dict[str, float], *, complete: bool = True) -> None:
    got = {metric.name: metric.value for metric in metrics}
    assert set(want) == set(got) if complete else set(want) <= set(got)
    np.testing.assert_allclose(
        [got[name] for name in want], list(want.values()), rtol=0, atol=EXACT, err_msg=str(want)
    )


def test_motion(case):
    motion = motion_iou(case.index)
    want = np.array([value for frame in case.motion for value in frame])
    tiny = want < 1e-9
    np.testing.assert_allclose(motion[~tiny], want[~tiny], rtol=0, atol=EXACT)
    np.testing.assert_allclose(motion[tiny], want[tiny], rtol=1e-9)


@pytest.mark.parametrize(("style", "evaluate"), [("mega", mega_ap), ("vfe", vfe_ap)])
def test_mega_and_vfe(case, style, evaluate):
    truth = vid_truth(case.index)
    metrics = list(evaluate(truth, case.found, case.index.classes))
    want = {k: v for s in SPEEDS for k, v in expected(case.results[style], s).items()}
    compare(metrics, want)
    plain = dataclasses.replace(truth, motion=None)
    if style == "mega":
        want = expected({"all": case.results["mega"]["plain"]}, "all")
        compare(mega_ap(plain, case.found, case.index.classes), want)


def test_fgfa(case):
    truth = vid_truth(case.index)
    metrics = list(fgfa_ap(truth, case.found, case.index.classes, areas=(ANY_AREA, *AREAS)))
    want = {}
    for speed in SPEEDS:
        want |= expected(case.results["fgfa"], speed)
        for area, key in zip(AREAS, ("0_2500", "2500_22500", "22500_10000000000"), strict=True):
            want |= expected(case.results["fgfa"][f"area_{key}"], speed, f"AP50/{area.name}")
    compare(metrics, want)
    plain = dataclasses.replace(truth, motion=None)
    compare(
        fgfa_ap(plain, case.found, case.index.classes),
        expected({"all": case.results["fgfa"]["vid_eval"]}, "all"),
    )


def test_coco(case):
    truth = vid_truth(case.index)
    ours = dict(coco_ap(truth.boxes, case.found, case.index.classes))
    stats = case.results["coco"]["stats"]
    for name in ("AP", "AP50", "AP75", "APs", "APm", "APl"):
        assert ours[name] == pytest.approx(stats[name], abs=EXACT), name
