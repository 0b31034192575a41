"""The frames that are shown: masks side by side, what prompts look at, each object by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.explain.mass_pictures import mass_picture, mass_words
from stpn_core.explain.page import Picture
from stpn_core.explain.pictures import jpeg, labelled, rows_of, scaled
from stpn_data.clips import read_frame
from stpn_data.index import VideoIndex
from stpn_vis.draw import draw_instances, instance_colour
from stpn_vis.explain.follow import SURE, Followed, Shown
from stpn_vis.explain.truth import annotated, overlap
from stpn_vis.full_size import full_size_logits
from stpn_vis.instances import Instances

HEIGHT = 288  # pixels of a frame on the page
STRIP_HEIGHT = 96  # and of a frame in the strip of an object
_DIM = 0.45


@dataclass(frozen=True)
class FramePart:
    """One frame: a picture for each column, and, if there are any, those of the prompts."""

    name: str
    columns: Sequence[tuple[str, Picture]]
    looks: Picture | None = None
    mass: Picture | None = None


def frame_part(followed: Sequence[Followed], index: VideoIndex, place: int, most: int) -> FramePart:
    """Frame `place` for all arms; prompts are those of the last one."""
    last = followed[-1].shown[place]
    image = read_frame(index, last.frame.index)
    truth = annotated(index, last.frame)
    columns = []
    if len(truth):
        drawn = draw_instances(image, truth, index.classes)
        columns.append(
            (
                "annotated",
                Picture(jpeg(scaled(drawn, HEIGHT)), _words(truth, index.classes, scored=False)),
            )
        )
    for one in followed:
        found = instances(one, one.shown[place], most)
        classes = one.arm.segmenter.classes
        drawn = draw_instances(image, found, classes)
        sure = len(one.sure(most))
        said = _words(found, classes) or (
            f"nothing: {sure} objects score {SURE} or more in the end, none has a mask here"
        )
        ious = overlap(truth.masks, found.masks)
        if ious:
            said += f"; IoU of annotated objects with their best mask {sum(ious) / len(ious):.2f}"
        columns.append((one.arm.title, Picture(jpeg(scaled(drawn, HEIGHT)), said)))
    looks = last.look
    return FramePart(
        f"frame {place}",
        columns,
        None if looks is None else Picture(jpeg(looks.picture), looks.words()),
        _mass(last),
    )


def instances(followed: Followed, shown: Shown, most: int) -> Instances:
    """The surest slots with a mask in this frame, in pixels of its file: numbered by slot from 1,
    with the class that they have in the end and the score of this frame."""
    slots = followed.sure(most)
    masks = slot_masks(shown, slots)
    there = [i for i in range(len(slots)) if masks[i].any()]
    t = followed.places.index(shown.frame.t)
    kept = [slots[i] for i in there]
    labels = [followed.label(slot) for slot in kept]
    scores = [float(followed.scores[t, s, c]) for s, c in zip(kept, labels, strict=True)]
    return Instances(
        torch.tensor(kept, dtype=torch.int64) + 1,
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(scores),
        masks[there],
    )


def slot_masks(shown: Shown, slots: Sequence[int]) -> Tensor:
    """Masks of slots in pixels of the file, bool (k, H, W)."""
    frame = shown.frame
    size = (frame.image.shape[1], frame.image.shape[2])
    chosen = shown.masks[list(slots)]
    return full_size_logits(chosen, shown.padded, size, frame.original_size) > 0


def strips(followed: Followed, index: VideoIndex, most: int) -> Picture:
    """Each of the surest slots by itself in every shown frame: which query it was, and its score."""
    slots = followed.best(most)
    rows = []
    for slot in slots:
        label, row = followed.label(slot), []
        for place, shown in followed.shown.items():
            t = followed.places.index(place)
            mask = slot_masks(shown, [slot])[0]
            score = float(followed.scores[t, slot, label])
            text = f"q{int(followed.queries[t, slot]) + 1}  {score:.2f}"
            text += "" if mask.any() else "  no mask"
            picture = _one(read_frame(index, shown.frame.index), mask, slot)
            row.append(labelled(picture, text, STRIP_HEIGHT))
        rows.append(row)
    classes = followed.arm.segmenter.classes
    names = ", ".join(f"{slot + 1} {classes[followed.label(slot)]}" for slot in slots)
    places = ", ".join(str(place) for place in followed.shown)
    return Picture(
        jpeg(rows_of(rows)),
        f"Rows: {names}. Columns: frames {places}. qN is query N of that frame, with its score there.",
    )


def _one(image: Tensor, mask: Tensor, slot: int) -> Tensor:
    colour = torch.tensor(instance_colour(slot + 1))[:, None, None]
    grey = image.float().mean(0, keepdim=True).expand(3, -1, -1) * _DIM
    return torch.where(mask, 0.6 * image + 0.4 * colour, grey).byte()


def _mass(shown: Shown) -> Picture | None:
    if not shown.mass or isinstance(shown.mass, str):
        return None
    return Picture(jpeg(mass_picture(shown.frame.image, shown.mass)), mass_words(shown.mass))


def _words(found: Instances, classes: Sequence[str], *, scored: bool = True) -> str:
    rows = zip(found.ids.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    return ", ".join(
        f"{number} {classes[label]}{f' {score:.2f}' if scored else ''}"
        for number, label, score in rows
    )
