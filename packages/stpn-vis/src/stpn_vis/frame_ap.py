"""Mask AP frame by frame: each frame counts as a video of its own.

Over a whole video, class scores are averaged, so a few clean frames name an object in all of them.
Frame by frame, every prediction stands alone, and it shows what a frame's own features hold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from stpn_data.index import VideoIndex
from stpn_data.sequence import evaluation_videos
from stpn_data.support import counted_policy
from stpn_data.transforms import EvalResize
from stpn_vis.config import EvalConfig
from stpn_vis.full_size import full_size_logits
from stpn_vis.ground_truth import ground_truth
from stpn_vis.inference import predict_frames
from stpn_vis.linking import best_slots
from stpn_vis.rle import area, encode
from stpn_vis.segmenter import Segmenter
from stpn_vis.video_ap import Track, Truth


def frame_truth(index: VideoIndex) -> Truth:
    """Annotated objects of every frame; a video id is a frame of `index`."""
    whole = ground_truth(index)
    assert index.masks is not None
    first = dict(zip(map(int, index.masks.video_ids), map(int, index.video_start), strict=False))
    tracks = [
        dataclasses.replace(
            track, video=first[track.video] + t, masks=(mask,), area=float(area(mask))
        )
        for track in whole.tracks
        for t, mask in enumerate(track.masks)
        if mask is not None
    ]
    return Truth(tuple(tracks), tuple(range(index.num_frames)), whole.categories)


@torch.no_grad()
def segment_frames(model: Segmenter, index: VideoIndex, config: EvalConfig) -> list[Track]:
    """What `model`, in evaluation mode, finds in every frame of `index` on its own, best first."""
    assert index.masks is not None
    found: list[Track] = []
    for video in evaluation_videos(index, EvalResize(config.short_side, config.long_side)):
        for frame, padded, predicted in predict_frames(
            model,
            video,
            counted_policy(config.policy, config.count, config.stride),
            config.batch_size,
        ):
            slots, labels, scores = best_slots(predicted.logits[0].cpu(), config.top)
            size = (frame.image.shape[1], frame.image.shape[2])
            small = predicted.masks[0][slots.to(predicted.masks.device)].cpu()
            masks = full_size_logits(small, padded, size, frame.original_size) > 0
            categories = index.masks.category_ids[labels.numpy()]
            found += _tracks(frame.index, categories.tolist(), scores.tolist(), masks)
    return found


def frames_alone(truth: Truth, frames: Iterable[int]) -> Truth:
    """The truth of some frames only."""
    chosen = set(frames)
    kept = tuple(track for track in truth.tracks if track.video in chosen)
    return Truth(kept, tuple(sorted(chosen)), truth.categories)


def _tracks(
    frame: int, categories: Sequence[int], scores: Sequence[float], masks: Tensor
) -> list[Track]:
    rles = [encode(mask) for mask in masks.to(torch.uint8).numpy()]
    return [
        Track(frame, category, (rle,), float(area(rle)), score)
        for category, score, rle in zip(categories, scores, rles, strict=True)
    ]
