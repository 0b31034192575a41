"""Scenes of several objects that cross, hide one another, look alike, and come and go.

What is hard about telling instances apart: two of a kind meet and part again, and only where each of
them was before says which is which.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stpn_data.synthesize.arguments import Arguments
from stpn_data.synthesize.body import Pose, draw_body
from stpn_data.synthesize.path import draw_path, meetings
from stpn_data.synthesize.scene import OBJECT, Mover, Scene, draw_scene

ROOM = {1: 1.0, 2: 0.85, 3: 0.75}  # size of an object among so many; among more: MANY
MANY = 0.65
TRIES = 6  # paths, of which the one is taken that crosses another object's
ENOUGH = 0.7  # of an object covered at the closest counts as a crossing
COMES_OR_GOES = 0.2  # chance that an object but the first enters late, and that it leaves early


def draw_instances(arguments: Arguments, split: int, number: int) -> Scene:
    """Scene `number` of a split (0 train, 1 valid); depends on nothing but its arguments.

    Background, distractors and degradations are those of `draw_scene`. Paths may cross: a later
    object passes in front of an earlier one. An object looks like an earlier one (outline, colour,
    pattern, size) with the chance `look_alikes`. The first object is always there.
    """
    scene = draw_scene(replace(arguments, objects=(1, 1)), split, number)
    rng = scene.rng(3)
    width, height = arguments.size
    count = int(rng.integers(arguments.objects[0], arguments.objects[1] + 1))
    objects: list[Mover] = []
    offsets: list[int] = []
    sizes: list[float] = []
    shown = []
    for n in range(count):
        size = float(rng.uniform(*OBJECT)) * min(width, height) * ROOM.get(count, MANY)
        body, offset = draw_body(rng), int(rng.integers(len(arguments.classes)))
        like = int(rng.integers(n)) if n and rng.random() < arguments.look_alikes else None
        if like is not None:
            body, offset, size = objects[like].body, offsets[like], sizes[like]
        partner = like if like is not None else int(rng.integers(n)) if n else None
        paths = [
            draw_path(rng, scene.speed, arguments.frames, height, width, size, [])
            for _ in range(1 if partner is None else TRIES)
        ]
        poses = paths[0] if partner is None else _crossing(paths, objects[partner].poses)
        objects.append(Mover(body, poses))
        offsets.append(offset if n else 0)  # classes are balanced by the first object
        sizes.append(size)
        shown.append(shown_span(rng, arguments.frames) if n else (0, arguments.frames))
    return replace(scene, objects=objects, offsets=tuple(offsets), shown=tuple(shown))


def _crossing(paths: list[list[Pose]], other: list[Pose]) -> list[Pose]:
    """The path that meets the other one best: that lies over it for a while, and apart for long."""

    def value(path: list[Pose]) -> float:
        share = meetings(path, other)
        return min(float(share.max()), ENOUGH) - float(share.mean())

    return max(paths, key=value)


def shown_span(rng: np.random.Generator, frames: int) -> tuple[int, int]:
    """First frame of an object and the one after its last."""
    late, early = rng.random(2) < COMES_OR_GOES
    half = max(1, frames // 2)
    start = int(rng.integers(0, half)) if late else 0
    return start, frames - int(rng.integers(0, half)) if early else frames
