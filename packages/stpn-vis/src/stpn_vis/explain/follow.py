"""One video through one segmenter, frame by frame, with a record of how its queries were linked.

T frames, Q queries or slots, C classes, h x w a quarter of the padded frame.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from stpn_core import STPN
from stpn_core.errors import NumericsError
from stpn_core.explain import PromptMass
from stpn_core.explain.mass_pictures import mass_of
from stpn_core.explain.support_look import SupportLook, support_look
from stpn_data.sequence import EvalFrame, EvalVideo
from stpn_data.support import Policy
from stpn_data.transforms import cover
from stpn_vis.explain.truth import annotated_area
from stpn_vis.linking import LinkState, link
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.network_input import to_network
from stpn_vis.video_prompts import VideoPrompts

SURE = 0.3  # as `stpn vis predict` has it
FEW = 3


@dataclass(frozen=True, eq=False)
class Arm:
    """One column of the comparison. prompted False: its prompts, if it has any, are left out."""

    title: str
    segmenter: TrainedSegmenter
    prompted: bool = True


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame that is shown: mask logits of the slots (Q, h, w), padded network size, what its
    prompts look at, and how much it looks at them (as text: why that could not be read)."""

    frame: EvalFrame
    masks: Tensor
    padded: tuple[int, int]
    look: SupportLook | None
    mass: list[PromptMass] | str


@dataclass(frozen=True, eq=False)
class Link:
    """How a frame was linked to the one before: similarity (Q, Q) of each slot, as it was there, to
    each query here, from -1 to 1."""

    place: int
    similarity: Tensor


@dataclass(frozen=True, eq=False)
class Followed:
    """A video as `arm` sees it.

    places (T,): of the frames. queries (T, Q) int64: the query that each slot took. similarity
    (T, Q): of that query to the slot's one before; rival (T, Q): of the most similar other query;
    both NaN in the first frame. scores (T, Q, C): class probabilities of the frame alone; mean
    (T, Q, C): of the logits averaged so far. links: those of the frames after the first.
    """

    arm: Arm
    places: list[int]
    queries: Tensor
    similarity: Tensor
    rival: Tensor
    scores: Tensor
    mean: Tensor
    links: list[Link]
    shown: dict[int, Shown]

    def sure(self, most: int) -> list[int]:
        """The slots whose class scores SURE or more in the end, at most `most`, best first."""
        best = self.mean[-1].max(-1).values
        order = best.argsort(descending=True, stable=True)[:most].tolist()
        return [slot for slot in order if float(best[slot]) >= SURE]

    def best(self, most: int) -> list[int]:
        """Those, or the FEW best where none is sure: something to look at."""
        order = self.mean[-1].max(-1).values.argsort(descending=True, stable=True).tolist()
        return self.sure(most) or order[: min(most, FEW)]

    def label(self, slot: int) -> int:
        """The class of a slot in the end."""
        return int(self.mean[-1, slot].argmax())


@torch.no_grad()
def follow(
    arm: Arm, video: EvalVideo, policy: Policy, places: list[int], shown: Collection[int]
) -> Followed:
    """Segment and link the frames `places`, ascending; those in `shown` keep what is drawn.

    Raises NumericsError if a prediction is not finite.
    """
    model = arm.segmenter.model
    prompts_of = VideoPrompts(model, video)
    prompted = arm.prompted and model.stpn.predictor is not None
    state: LinkState | None = None
    queries, scores, mean = [], [], []
    similarity, rival, links = [], [], []
    kept: dict[int, Shown] = {}
    for place in tqdm(places, desc=arm.title, unit="frame"):
        frame = video.frame(place)
        size = (frame.image.shape[1], frame.image.shape[2])
        image = to_network(model, frame.image)[None]
        prompts = None
        if prompted:
            prompts = prompts_of.of(policy.indices(place, len(video)), size)
        found = model.decode(model.stpn.encode(image, prompts))
        logits, masks, embeddings = found.logits[0], found.masks[0], found.embeddings[0]
        if not (logits.isfinite().all() and masks.isfinite().all()):
            raise NumericsError(
                f"frame {frame.name}: predictions of {arm.segmenter.source} are NaN or infinite, so "
                "there is nothing to explain; evaluate the weights first"
            )
        before = state
        order, state = link(state, logits, embeddings)
        every = _cosines(before, embeddings)
        own = every.gather(1, order[:, None])[:, 0]
        others = every.scatter(1, order[:, None], -float("inf")).amax(1)
        similarity.append(own)
        rival.append(others if every.shape[1] > 1 else own * float("nan"))
        if before is not None:
            links.append(Link(place, every))
        queries.append(order)
        scores.append(logits.cpu()[order].softmax(-1)[:, :-1])
        mean.append(state.mean_logits.softmax(-1)[:, :-1])
        if place in shown:
            kept[place] = Shown(
                frame,
                masks.cpu()[order],
                (image.shape[-2], image.shape[-1]),
                None if prompts is None else _look(model.stpn, prompts_of, video, place),
                mass_of(model.stpn.encoder, image, prompts),
            )
    return Followed(
        arm, list(places), torch.stack(queries), torch.stack(similarity), torch.stack(rival),
        torch.stack(scores), torch.stack(mean), links, kept,
    )  # fmt: skip


def _cosines(before: LinkState | None, embeddings: Tensor) -> Tensor:
    """(Q, Q) slots to queries, on the CPU; NaN in the first frame."""
    if before is None:
        return torch.full((len(embeddings),) * 2, float("nan"))
    old, new = (F.normalize(e.float(), dim=1, eps=1e-6) for e in (before.embeddings, embeddings))
    return (old @ new.T).cpu()


def _look(stpn: STPN, prompts_of: VideoPrompts, video: EvalVideo, place: int) -> SupportLook | None:
    tokens = torch.cat([prompts_of.tokens[key] for key in prompts_of.support], dim=1)
    missing = set(video.missing())
    there = [t for t in range(len(video)) if t not in missing]
    images, masks, names = [], [], []
    for t, size in prompts_of.support:
        frame = video.frame(t if t in there else min(there, key=lambda o: abs(o - t)))
        names.append(f"{t - place:+d}" if t != place else "itself")
        images.append(cover(frame.image, size))
        same = tuple(frame.image.shape[1:]) == size  # else only its middle is seen
        masks.append(annotated_area(video.index, frame) if same else torch.zeros(size).bool())
    return support_look(stpn, tokens, names, images, masks)
