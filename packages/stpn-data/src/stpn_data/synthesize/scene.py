"""A scene: all that is drawn by chance for a video, except the classes of its objects.

Scenes are shared by a matched set of videos, one per class (see `render`), so nothing here may
depend on a class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stpn_data.synthesize.arguments import Arguments
from stpn_data.synthesize.body import Body, Pose, draw_body, draw_plain
from stpn_data.synthesize.path import draw_path
from stpn_data.synthesize.schedule import Spoil, draw_schedule

OBJECT = (0.15, 0.21)  # radius as a share of the frame's short side
DISTRACTOR = (0.05, 0.09)
PAN = 0.003  # fastest movement of the camera per frame, as a share of the short side


@dataclass(frozen=True)
class Mover:
    body: Body
    poses: list[Pose]  # one per frame


@dataclass(frozen=True)
class Scene:
    key: tuple[int, ...]  # seeds the pixels: background, occluders, noise
    speed: str
    order: tuple[int, ...]  # which class the first, second, … video of the set shows
    other: int  # with mixed classes: how far the second object's class lies from the first's
    objects: list[Mover]
    distractors: list[Mover]
    pan: tuple[float, float]  # pixels per frame, x and y
    schedule: list[Spoil]
    offsets: tuple[int, ...] = ()  # instances: how far the class of each lies from the first's
    shown: tuple[tuple[int, int], ...] = ()  # instances: first frame, one after the last; () all

    def is_shown(self, n: int, t: int) -> bool:
        """Whether object n is there in frame t."""
        return not self.shown or self.shown[n][0] <= t < self.shown[n][1]

    def rng(self, *place: int) -> np.random.Generator:
        """Chance for one purpose, independent of what was drawn before."""
        return np.random.default_rng([*self.key, *place])


def draw_scene(arguments: Arguments, split: int, number: int) -> Scene:
    """Scene `number` of a split (0 train, 1 val); depends on nothing but its arguments."""
    key = (arguments.seed, split, number)
    rng = np.random.default_rng(key)
    width, height = arguments.size
    side = min(width, height)
    speed = arguments.speeds[number % len(arguments.speeds)]
    fewest, most = arguments.objects
    objects: list[Mover] = []
    for _ in range(int(rng.integers(fewest, most + 1))):
        radius = float(rng.uniform(*OBJECT)) * side
        if most > 1:
            radius *= 0.85  # room for two
        body = draw_body(rng)
        others = [mover.poses for mover in objects]
        poses = draw_path(rng, speed, arguments.frames, height, width, radius, others)
        objects.append(Mover(body, poses))
    distractors = []
    for _ in range(int(rng.integers(1, 4))):
        radius = float(rng.uniform(*DISTRACTOR)) * side
        drift = "slow" if rng.random() < 0.5 else "medium"
        poses = draw_path(rng, drift, arguments.frames, height, width, radius, [])
        distractors.append(Mover(draw_plain(rng), poses))
    heading, pace = rng.uniform(0, 2 * math.pi), rng.uniform(0, PAN) * side
    return Scene(
        key=key,
        speed=speed,
        order=tuple(int(label) for label in rng.permutation(len(arguments.classes))),
        other=int(rng.integers(1, len(arguments.classes))) if len(arguments.classes) > 1 else 0,
        objects=objects,
        distractors=distractors,
        pan=(pace * math.cos(heading), pace * math.sin(heading)),
        schedule=draw_schedule(
            rng,
            arguments.frames,
            arguments.fraction_degraded,
            arguments.burst,
            arguments.kinds,
            arguments.severity,
        ),
    )
