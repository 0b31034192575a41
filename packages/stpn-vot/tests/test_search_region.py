"""A lost target: when it counts as lost, where it is looked for, and how it is found again."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_vot.mixformer import Located
from stpn_vot.search_region import search_region
from stpn_vot.tracker import start_tracking, track
from stpn_vot.tracking_config import TrackingConfig

from .networks import TINY, tracker
from .test_tracker import BOX, video

CONFIG = TrackingConfig(48, 96, patience=2, lost_below=0.3, redetect=True)
NOW, GOOD = (1.0, 2.0, 3.0, 4.0), (10.0, 10.0, 4.0, 4.0)


def test_a_lost_target_is_looked_for_in_turn():
    regions = [search_region(NOW, GOOD, missed, CONFIG, 72, 88) for missed in range(7)]
    assert [region.around for region in regions[:2]] == [NOW, NOW]
    assert [region.around for region in regions[2:4]] == [GOOD, GOOD]
    assert regions[3].factor == 2 * regions[2].factor == 2 * CONFIG.search_factor
    x, y, w, h = regions[4].around
    assert (x, y, x + w, y + h, regions[4].factor) == (0, -8, 88, 80, 1), "the whole frame"
    assert regions[5] == regions[2]
    assert [region.usual for region in regions] == [True, True, True, False, False, True, False]


def test_without_redetection_the_last_box_leads():
    off = dataclasses.replace(CONFIG, redetect=False)
    assert {search_region(NOW, GOOD, missed, off, 72, 88).around for missed in range(9)} == {NOW}


def scripted(model, scores):
    """The model, which finds the middle of its crop with these scores."""
    left = iter(scores)
    box = torch.tensor([[0.4, 0.4, 0.6, 0.6]])
    model.locate = lambda features, cache: Located(box, torch.tensor([next(left)]).logit())
    return model


@pytest.mark.parametrize("redetect", [True, False])
def test_a_target_is_lost_and_found_again(redetect):
    scores = [0.9, 0.2, 0.1, 0.4, 0.1, 0.9, 0.9]
    model, frames = scripted(tracker(TINY), scores), video(8)
    config = dataclasses.replace(CONFIG, redetect=redetect)
    state = start_tracking(model, frames[0], BOX, config)
    results, missed = [], []
    for frame in frames[1:]:
        result, state = track(model, state, frame)
        results.append(result)
        missed.append(state.missed)
    lost = [result.lost for result in results]
    if redetect:  # a doubtful score is enough to go on, not to come back
        assert missed == [0, 1, 2, 3, 4, 0, 0]
        assert lost == [False, False, True, True, True, False, False]
        assert {result.box for result in results[2:5]} == {results[0].box}
        x, y, w, h = results[5].box
        assert (x + w / 2, y + h / 2) == pytest.approx((44, 36)), "the whole frame's middle"
    else:
        assert missed == [0, 1, 2, 0, 1, 0, 0]
        assert lost == [False, False, True, False, False, False, False]
