"""Instances of a stored video: every frame through the network, queries linked, the best slots kept,
their masks at the size of the file (MinVIS's inference, in bounded memory).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.errors import NumericsError
from stpn_core.prompt_batch import stack_prompts
from stpn_data.sequence import EvalFrame, EvalVideo, frame_batches
from stpn_data.support import Policy
from stpn_vis.full_size import full_size_logits
from stpn_vis.linking import LinkState, best_slots, link
from stpn_vis.mask_store import DEFAULT_LIMIT, MaskStore
from stpn_vis.network_input import to_network
from stpn_vis.predictions import FramePredictions
from stpn_vis.rle import Rle, encode
from stpn_vis.segmenter import Segmenter
from stpn_vis.video_prompts import VideoPrompts


@dataclass(frozen=True, eq=False)
class VideoResult:
    """The best instances of a video of T frames, by falling score; one slot may come with several
    classes.

    scores (k,) float32; labels, slots (k,) int64. rles: k rows of T masks at the size of the file,
    None for frames without an image file.
    """

    scores: Tensor
    labels: Tensor
    slots: Tensor
    rles: tuple[tuple[Rle | None, ...], ...]


@dataclass(frozen=True)
class _Seen:
    """What is needed to bring a frame's masks to the size of its file, all (h, w)."""

    t: int
    padded: tuple[int, int]
    size: tuple[int, int]
    original: tuple[int, int]


@torch.no_grad()
def segment_video(
    model: Segmenter,
    video: EvalVideo,
    policy: Policy,
    *,
    batch_size: int = 1,
    top: int = 10,
    rescore: bool = False,
    half_masks: bool = False,
    memory: int = DEFAULT_LIMIT,
    folder: str | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> VideoResult:
    """The `top` best instances of `video`.

    Class logits are averaged over all frames, so every slot's masks are kept until the end: up to
    `memory` bytes in memory, the rest in a temporary file in `folder`. half_masks: at half the
    space; a pixel within rounding of the threshold may then change sides. rescore: multiply scores
    by the mean foreground probability inside the masks (VITA). on_frame: called after each frame.
    The model must be in evaluation mode. Raises NumericsError if a prediction is not finite.
    """
    state: LinkState | None = None
    frames: list[_Seen] = []
    with MaskStore(half=half_masks, limit=memory, folder=folder) as store:
        for frame, padded, found in predict_frames(model, video, policy, batch_size):
            logits, masks, embeddings = found.logits[0], found.masks[0], found.embeddings[0]
            _require_finite(logits, masks, frame.name)
            order, state = link(state, logits, embeddings)
            store.append(masks[order.to(masks.device)])
            size = (frame.image.shape[1], frame.image.shape[2])
            frames.append(_Seen(frame.t, padded, size, frame.original_size))
            on_frame()
        if state is None:
            nothing = torch.zeros(0)
            return VideoResult(nothing, nothing.long(), nothing.long(), ())
        slots, labels, scores = best_slots(state.mean_logits, top)
        rles, quality = _final_masks(
            store, frames, slots.tolist(), len(video), state.embeddings.device
        )
    if rescore:
        scores, order = (scores * quality).sort(descending=True, stable=True)
        slots, labels, rles = slots[order], labels[order], [rles[i] for i in order.tolist()]
    return VideoResult(scores, labels, slots, tuple(tuple(row) for row in rles))


def predict_frames(
    model: Segmenter, video: EvalVideo, policy: Policy, batch_size: int = 1
) -> Iterator[tuple[EvalFrame, tuple[int, int], FramePredictions]]:
    """Each frame with the padded size (H, W) the network saw and its predictions, batch size 1."""
    source = VideoPrompts(model, video)
    prompted = model.stpn.predictor is not None
    for frames in frame_batches(video.frames(), batch_size):
        size = (frames[0].image.shape[1], frames[0].image.shape[2])
        images = torch.stack([to_network(model, frame.image) for frame in frames])
        rows = [
            source.of(policy.indices(frame.t, len(video)), size) if prompted else None
            for frame in frames
        ]
        found = model.decode(model.stpn.encode(images, *stack_prompts(rows)))
        padded = (images.shape[-2], images.shape[-1])
        for i, frame in enumerate(frames):
            row = slice(i, i + 1)
            yield (
                frame,
                padded,
                FramePredictions(found.logits[row], found.masks[row], found.embeddings[row]),
            )


def _final_masks(
    store: MaskStore, frames: list[_Seen], slots: list[int], length: int, device: torch.device
) -> tuple[list[list[Rle | None]], Tensor]:
    """Masks of the slots in every frame, one frame in memory at a time, and how sure they are."""
    rles: list[list[Rle | None]] = [[None] * length for _ in slots]
    certainty, pixels = torch.zeros(len(slots)), torch.zeros(len(slots))
    unique = sorted(set(slots))
    for i, seen in enumerate(frames):
        small = store.read(i, unique).to(device)
        logits = full_size_logits(small, seen.padded, seen.size, seen.original)
        encoded = [encode(mask) for mask in (logits > 0).to(torch.uint8).cpu().numpy()]
        inside = small > 0
        sure, count = (small.sigmoid() * inside).sum(dim=(1, 2)).cpu(), inside.sum(dim=(1, 2)).cpu()
        for row, slot in enumerate(slots):
            place = unique.index(slot)
            rles[row][seen.t] = encoded[place]
            certainty[row] += sure[place]
            pixels[row] += count[place]
    return rles, certainty / pixels.clamp(min=1)


def _require_finite(logits: Tensor, masks: Tensor, name: str) -> None:
    if not (logits.isfinite().all() and masks.isfinite().all()):
        raise NumericsError(
            f"{name}: predictions hold NaN or infinity: the weights are damaged, or the precision is "
            "too low for them; try --precision fp32"
        )
