"""From a scene and the classes of its objects to pixels and boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpn_data.degrade import degrade
from stpn_data.degrade.frames import to_uint8
from stpn_data.degrade.point_spread import PointSpread, blur
from stpn_data.synthesize.background import crop, draw_background
from stpn_data.synthesize.body import Drawing, Pose, draw, period_of
from stpn_data.synthesize.scene import Mover, Scene
from stpn_data.synthesize.schedule import Spoil

# How far severity 1 goes, in periods of the pattern. A wave of one period is left with less than a
# hundredth of its contrast.
STREAK = 4.0  # length of motion blur
SHAKE = 0.15  # its spread across, as a share of the length
DISC = 1.4  # radius of defocus
SMOOTH = 0.65  # standard deviation of the noise reduction in low light
SENSOR = 2.0  # standard deviation of the noise that every frame has, in levels
BURIED = 0.25  # an object hidden by more than this share counts as occluded

BACKGROUND, NOISE, SPOIL = 0, 1, 2  # what a frame needs chance for


@dataclass(frozen=True)
class Frame:
    image: NDArray[np.uint8]  # (3,H,W)
    boxes: NDArray[np.int64]  # (n,4) first and last column and row: x1, y1, x2, y2, inclusive
    occluded: NDArray[np.bool_]  # (n,)
    spoil: Spoil
    outlines: NDArray[np.bool_]  # (n,H,W) where each object is, whatever lies before it
    visible: NDArray[np.bool_]  # (n,H,W) the part of that which can be seen; of instances


def render(scene: Scene, labels: tuple[str, ...], height: int, width: int) -> Iterator[Frame]:
    """Frames in order. `labels` names the pattern of each object of the scene.

    The same scene with other labels differs in the patterns and in nothing else: background, paths,
    outlines, colours, noise and degradations are the same, number by number.
    """
    frames = len(scene.schedule)
    travel = [abs(step) * frames for step in scene.pan]
    picture = draw_background(
        scene.rng(BACKGROUND), height + math.ceil(travel[1]) + 2, width + math.ceil(travel[0]) + 2
    )
    start = [0.0 if step >= 0 else abs(step) * (frames - 1) for step in scene.pan]
    for t, spoil in enumerate(scene.schedule):
        ground = crop(
            picture, start[1] + scene.pan[1] * t, start[0] + scene.pan[0] * t, height, width
        )
        for mover in scene.distractors:
            ground = _over(ground, draw(mover.body, mover.poses[t], None, height, width).layer)
        drawings = [
            draw(mover.body, mover.poses[t], label, height, width)
            for mover, label in zip(scene.objects, labels, strict=True)
        ]
        drawings = [
            drawing if scene.is_shown(n, t) else _absent(drawing, drawings[0])
            for n, drawing in enumerate(drawings)
        ]
        image = _expose(scene, ground, drawings, t)
        boxes = np.array([drawing.box for drawing in drawings], dtype=np.int64).reshape(-1, 4)
        boxes[:, 2:] -= 1
        outlines = np.stack([drawing.layer[3] >= 0.5 for drawing in drawings])
        yield Frame(
            image=image,
            boxes=boxes,
            occluded=_buried(drawings) | (spoil.kind == "occlusion" and spoil.severity > BURIED),
            spoil=spoil,
            outlines=outlines,
            visible=_visible(scene, outlines, drawings, t) if scene.offsets else outlines,
        )


def _expose(
    scene: Scene, ground: NDArray[np.float32], drawings: list[Drawing], t: int
) -> NDArray[np.uint8]:
    """One frame as the camera of the scene takes it: (3,H,W)."""
    spoil = scene.schedule[t]
    smears = spoil.kind == "blur" and scene.speed != "slow"
    canvas = ground
    for mover, drawing in zip(scene.objects, drawings, strict=True):
        layer = drawing.layer
        if smears:  # the object is what moves: it alone leaves a streak, around its true place
            layer = blur(layer, _streak(mover, t, spoil.severity), edge="constant")
        canvas = _over(canvas, layer)
    image = to_uint8(canvas.copy())
    if spoil.severity > 0 and not smears:
        image = _spoiled(scene, image, drawings, t)
    noise = scene.rng(NOISE, t).standard_normal(image.shape, dtype=np.float32)
    return to_uint8(image + SENSOR * noise)


def _spoiled(
    scene: Scene, image: NDArray[np.uint8], drawings: list[Drawing], t: int
) -> NDArray[np.uint8]:
    spoil = scene.schedule[t]
    # one path of the occluder, one direction of the shake per stretch
    rng = scene.rng(SPOIL, spoil.burst)
    period = max(period_of(mover.body, mover.poses[t].radius) for mover in scene.objects)
    options: dict[str, Any] = {}
    match spoil.kind:
        case "blur":
            options = {"length": STREAK * period, "shake": SHAKE}
        case "defocus":
            options = {"radius": DISC * period}
        case "occlusion":
            boxes = np.array([drawing.inside for drawing in drawings])
            margin = np.array([-1, -1, 1, 1])  # soft edges
            options = {"targets": boxes + margin, "start": t}
        case "low_light":
            rng = scene.rng(SPOIL, t)
            options = {"smoothing": SMOOTH * period}
        case _:
            rng = scene.rng(SPOIL, t)
    return degrade(image, spoil.kind, spoil.severity, rng, **options)


def _visible(
    scene: Scene, outlines: NDArray[np.bool_], drawings: list[Drawing], t: int
) -> NDArray[np.bool_]:
    """Outlines without what later objects and an occluder hide."""
    seen = outlines.copy()
    for n in range(len(seen)):
        seen[n] &= ~outlines[n + 1 :].any(axis=0)
    if scene.schedule[t].kind == "occlusion":
        # the same leaves before white and before black: what they leave of the difference is seen
        white, black = (
            _spoiled(scene, np.full((3, *outlines.shape[1:]), level, np.uint8), drawings, t)
            for level in (255, 0)
        )
        seen &= white[0].astype(np.int16) - black[0] > 127
    return seen


def _absent(drawing: Drawing, other: Drawing) -> Drawing:
    """An object that is not in the frame; the leaf that would hide it hides another one instead."""
    return Drawing(np.zeros_like(drawing.layer), drawing.box, other.inside)


def _streak(mover: Mover, t: int, severity: float) -> PointSpread:
    period = period_of(mover.body, mover.poses[t].radius)
    before: Pose = mover.poses[max(t - 1, 0)]
    after: Pose = mover.poses[min(t + 1, len(mover.poses) - 1)]
    length = severity * STREAK * period
    angle = math.atan2(after.y - before.y, after.x - before.x)
    return PointSpread(line=length, angle=angle, sigma=SHAKE * length)


def _over(canvas: NDArray[np.float32], layer: NDArray[np.float32]) -> NDArray[np.float32]:
    coverage = np.clip(layer[3], 0.0, 1.0)
    return canvas * (1 - coverage) + layer[:3]


def _buried(drawings: list[Drawing]) -> NDArray[np.bool_]:
    """Which objects lie behind later ones by more than a quarter."""
    hidden = np.zeros(len(drawings), dtype=bool)
    for n, drawing in enumerate(drawings):
        area = drawing.layer[3].sum()
        for later in drawings[n + 1 :]:
            hidden[n] |= (drawing.layer[3] * later.layer[3]).sum() > BURIED * area
    return hidden
