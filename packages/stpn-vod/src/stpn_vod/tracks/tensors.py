"""Linking of detections that are tensors; see `stpn_vod.tracks.linking`."""

from __future__ import annotations

import torch
from torch import Tensor

from stpn_vod.detections import Detections
from stpn_vod.tracks.linking import TrackState, link_boxes


def link(
    state: TrackState, found: Detections, *, new_shot: bool = False
) -> tuple[Tensor, TrackState]:
    """Track numbers of the objects of the next frame, and the state after it.

    found: boxes of any score, in pixels that mean the same on every frame. new_shot: the camera cut
    before this frame. Returns ids (n,) int64, from 1, -1 for boxes that belong to no track; every
    box whose score is greater than `state.score` has one. The order of the boxes does not matter.
    Raises InputError if a box or score is not finite.
    """
    boxes, scores = (x.detach().cpu().double().numpy() for x in (found.boxes, found.scores))
    ids, state = link_boxes(state, boxes, scores, found.labels.cpu().numpy(), new_shot=new_shot)
    return torch.from_numpy(ids), state
