"""A moving thing: an outline with a rim and, inside the rim, room for a pattern."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.synthesize.pattern import balanced, pattern

RIM = 0.2  # share of the radius: plain, never hidden by an occluder, shows where the object ends
CONTRAST = 0.36  # standard deviation of the pattern as a share of the colour
PERIODS = 5.0  # of the pattern across the object

Layer = NDArray[np.float32]  # (4,H,W) red, green, blue times coverage, and coverage 0..1


@dataclass(frozen=True)
class Body:
    """What an object looks like, whatever its class. Angles in radians."""

    aspect: float  # width over height
    corner: float  # exponent of the outline: 2 is an ellipse, more is squarer
    lobes: int
    lobe_depth: float
    colour: tuple[float, float, float]  # 0..255
    rim: float  # brightness of the rim as a share of the colour
    light: float  # direction the light comes from
    turn: float  # of the pattern within the outline
    shift: tuple[float, float]  # of the pattern, in periods
    period: float  # of the pattern as a share of the usual one


@dataclass(frozen=True)
class Pose:
    """Where an object is at one moment, in pixels and radians."""

    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True)
class Drawing:
    layer: Layer
    box: tuple[float, float, float, float]  # outer edges of the outline: x1, y1, x2, y2


def draw_body(rng: np.random.Generator) -> Body:
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.45, 0.75), 1.0)
    tint = np.array([red, green, blue])
    # one luminance for all hues, so that brightness tells nothing about the thing
    tint *= rng.uniform(105, 140) / (tint @ np.array([0.299, 0.587, 0.114]))
    return Body(
        aspect=float(np.exp(rng.uniform(-0.22, 0.22))),
        corner=float(rng.uniform(2.0, 3.0)),
        lobes=int(rng.integers(3, 6)),
        lobe_depth=float(rng.uniform(0.0, 0.05)),
        colour=tuple(np.minimum(tint, 190.0)),  # type: ignore[arg-type]
        rim=float(rng.choice([0.45, 1.35])),
        light=float(rng.uniform(0, 2 * math.pi)),
        turn=float(rng.uniform(0, math.pi)),
        shift=(float(rng.uniform(-0.5, 0.5)), float(rng.uniform(-0.5, 0.5))),
        period=float(rng.uniform(0.9, 1.1)),
    )


def draw_plain(rng: np.random.Generator) -> Body:
    """A distractor: coloured and rimmed like the objects, but long and without a pattern."""
    body = draw_body(rng)
    long = float(rng.uniform(2.4, 3.4)) ** (1 if rng.random() < 0.5 else -1)
    return Body(**{**body.__dict__, "aspect": long})


def period_of(body: Body, radius: float) -> float:
    """Period of the pattern in pixels."""
    return body.period * 2 * radius / PERIODS


def draw(body: Body, pose: Pose, label: str | None, height: int, width: int) -> Drawing:
    """The body alone on an empty canvas; `label` None leaves its inside plain."""
    x = np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5 - pose.x)
    y = np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - pose.y)
    cos, sin = np.float32(math.cos(pose.angle)), np.float32(math.sin(pose.angle))
    along, across = cos * x + sin * y, cos * y - sin * x
    stretch = np.float32(math.sqrt(body.aspect))
    u, v = along / (pose.radius * stretch), across * stretch / pose.radius
    theta = np.arctan2(v, u)
    outline = 1 + body.lobe_depth * np.cos(body.lobes * theta)
    norm = (np.abs(u) ** body.corner + np.abs(v) ** body.corner) ** (1 / body.corner) / outline
    thinner = pose.radius * min(stretch, 1 / stretch)
    coverage = np.clip((1 - norm) * thinner + 0.5, 0, 1)
    inside = np.clip((1 - RIM - norm) * thinner + 0.5, 0, 1)
    shade = 1 - 0.18 * norm**2 + 0.16 * (math.cos(body.light) * u + math.sin(body.light) * v)
    shade = np.clip(shade, 0.6, 1.2)
    ink = np.zeros_like(norm)
    if label is not None:
        period = period_of(body, pose.radius)
        cos, sin = np.float32(math.cos(body.turn)), np.float32(math.sin(body.turn))
        px, py = along / np.float32(period), across / np.float32(period)
        field = pattern(
            label,
            cos * px + sin * py + np.float32(body.shift[0]),
            cos * py - sin * px + np.float32(body.shift[1]),
        )
        ink = CONTRAST * balanced(field, inside * shade)
    brightness = shade * (inside * (1 + ink) + (1 - inside) * body.rim)
    colour = np.array(body.colour, dtype=np.float32)[:, None, None]
    layer = np.concatenate([colour * brightness * coverage, coverage[None]]).astype(np.float32)
    return Drawing(layer, _box(coverage))


def _box(coverage: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Edges of the pixels that are at least half covered; an empty box where none is."""
    columns = np.flatnonzero((coverage >= 0.5).any(axis=0))
    rows = np.flatnonzero((coverage >= 0.5).any(axis=1))
    if len(columns) == 0:
        return (0.0, 0.0, 0.0, 0.0)
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
