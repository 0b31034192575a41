"""Crops, cache, heads, geometry and template schedule in a loop: the original's whole tracker."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpn_data.tracking.crops import Box, cut
from stpn_vot.box_geometry import clip_box, cxcywh_of_corners, map_back
from stpn_vot.template_schedule import UpdateRule, after_frame, first_templates

from .networks import golden_tracker


@torch.no_grad()
def test_a_video_is_tracked_as_by_the_original(golden):
    tensors, facts = golden("vot/tracker_trace")
    model, setting = golden_tracker(tensors, facts), facts["tracker"]
    mean, std = (torch.tensor(setting[name])[:, None, None] for name in ("mean", "std"))
    video = tensors["in.video"].permute(0, 3, 1, 2).contiguous()

    def crop(frame: Tensor, box: Box, kind: str) -> tuple[Tensor, float]:
        found = cut(frame, box, setting[f"{kind}_factor"], setting[f"{kind}_size"])
        return (found.pixels / 255 - mean) / std, found.scale

    rule = UpdateRule(setting["interval"], setting["online_size"], setting["score_decay"])
    x, y, w, h = tensors["in.init_bbox"].tolist()
    box: Box = (x, y, w, h)
    first, _ = crop(video[0], box, "template")
    state = first_templates(first)
    cache = model.encode_templates(torch.stack([first, *state.online])[None])
    for index, row in enumerate(facts["rows"]):
        frame = video[index + 1]
        search, scale = crop(frame, box, "search")
        found = model.locate(model.encode_search(search[None], cache), cache)
        assert found.scores is not None
        predicted = cxcywh_of_corners(found.boxes)[0]
        assert predicted.tolist() == pytest.approx(row["pred_cxcywh"], abs=1e-5)
        assert float(found.scores) == pytest.approx(row["logit"], abs=1e-4)
        mapped = map_back(predicted, box, setting["search_size"], scale)
        box = clip_box(mapped, *frame.shape[1:], setting["clip_margin"])
        assert box == pytest.approx(row["state"], abs=1e-3)
        score, now = float(found.scores.sigmoid()), box
        following = after_frame(
            state, rule, index + 1, score, lambda f=frame, b=now: crop(f, b, "template")[0]
        )
        assert len(state.online) == row["n_online"], "those that this frame saw"
        assert following.best == pytest.approx(row["max_score"], abs=1e-4)
        if following.online is not state.online:
            cache = model.encode_templates(torch.stack([first, *following.online])[None])
        state = following
