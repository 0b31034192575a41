"""Scenes with one target to follow, among others that look like it.

What is hard about tracking: another thing of the same outline, colour and size crosses the target,
and only its texture tells the two apart. A blurred or buried frame takes the texture away; then only
where each of them was before says which is which. Some targets leave the frame and come back.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from stpn_data.synthesize.arguments import Arguments
from stpn_data.synthesize.body import Pose, draw_body
from stpn_data.synthesize.instances import shown_span
from stpn_data.synthesize.path import draw_path, meetings
from stpn_data.synthesize.scene import OBJECT, Mover, Scene, draw_scene
from stpn_data.synthesize.schedule import CLEAN, Spoil

SIZE = 0.75  # of objects, as a share of the usual one: there is more to search, and room to cross
TRIES = 6  # paths, of which the one is taken that crosses the target's
ENOUGH = 0.7  # of an object covered at the closest counts as a crossing
LEAVES = 0.25  # chance that the target leaves the frame and comes back
SHORTEST = 16  # frames of a video in which it may


def draw_targets(arguments: Arguments, split: int, number: int) -> Scene:
    """Scene `number` of a split (0 train, 1 val); depends on nothing but its arguments.

    The target is the first object and behind all others. In the first frame it is whole, inside, clean
    and clear of others, as the box that a tracker starts from must be. Each other object looks like
    the target but for its texture (its class) with the chance `look_alikes`.
    """
    scene = draw_scene(replace(arguments, objects=(1, 1)), split, number)
    rng = scene.rng(4)
    width, height = arguments.size
    frames, side = arguments.frames, min(width, height)
    size, body = _size(rng, side), draw_body(rng)
    poses = draw_path(rng, scene.speed, frames, height, width, size, [])
    if frames >= SHORTEST and rng.random() < LEAVES:
        poses = _excursion(rng, poses, body.aspect, height, width)
    objects, offsets, shown = [Mover(body, poses)], [0], [(0, frames)]
    count = int(rng.integers(arguments.objects[0], arguments.objects[1] + 1))
    classes = len(arguments.classes)
    for _ in range(count - 1):
        other, other_size = draw_body(rng), _size(rng, side)
        like = bool(rng.random() < arguments.look_alikes)
        offset = int(rng.integers(1, classes)) if like else int(rng.integers(classes))
        if like:
            other, other_size = body, size
        paths = [
            draw_path(rng, scene.speed, frames, height, width, other_size, []) for _ in range(TRIES)
        ]
        objects.append(Mover(other, max(paths, key=lambda path: _crossing(path, poses))))
        offsets.append(offset)
        shown.append(shown_span(rng, frames))
    schedule = [Spoil(CLEAN, 0.0, scene.schedule[0].burst), *scene.schedule[1:]]
    return replace(
        scene, objects=objects, offsets=tuple(offsets), shown=tuple(shown), schedule=schedule
    )


def _size(rng: np.random.Generator, side: int) -> float:
    return float(rng.uniform(*OBJECT)) * side * SIZE


def _crossing(path: list[Pose], target: list[Pose]) -> float:
    """How well a path meets the target's: over it for a while, apart for long and at the start."""
    share = meetings(path, target)
    return min(float(share.max()), ENOUGH) - float(share.mean()) - 10 * float(share[0] > 0)


def _excursion(
    rng: np.random.Generator, poses: list[Pose], aspect: float, height: int, width: int
) -> list[Pose]:
    """The same path, pushed over the nearest border and back for a while."""
    frames = len(poses)
    length = int(rng.integers(frames // 2, 3 * frames // 4 + 1))
    start = int(rng.integers(2, frames - length + 1))
    middle = poses[start + length // 2]
    reach = 1.3 * middle.radius * math.sqrt(max(aspect, 1 / aspect))
    ways = {
        (-1, 0): middle.x,
        (1, 0): width - middle.x,
        (0, -1): middle.y,
        (0, 1): height - middle.y,
    }
    way = min(ways, key=lambda step: ways[step])
    far = 1.25 * (ways[way] + reach)  # gone for more than a moment
    pushed = []
    for t, pose in enumerate(poses):
        phase = (t - start) / length
        push = far * math.sin(math.pi * phase) ** 2 if 0 < phase < 1 else 0.0
        pushed.append(replace(pose, x=pose.x + push * way[0], y=pose.y + push * way[1]))
    return pushed
