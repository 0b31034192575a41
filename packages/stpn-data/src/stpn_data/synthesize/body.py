"""A moving thing: an outline with a rim and, inside the rim, room for a pattern."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.synthesize.pattern import Field, balanced, pattern

RIM = 0.22  # share of the radius: plain, never hidden by an occluder, shows where the object ends
CONTRAST = 0.36  # standard deviation of the pattern as a share of the colour
PERIODS = 5.0  # of the pattern across the object

Box = tuple[float, float, float, float]  # outer edges: x1, y1, x2, y2
NOWHERE: Box = (0.0, 0.0, 0.0, 0.0)
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
    box: Box  # of the outline
    inside: Box  # of the part within the rim


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
    stretch = math.sqrt(body.aspect)
    reach = 1.5 * pose.radius * max(stretch, 1 / stretch) + 2  # corners and lobes included
    left, right = _between(pose.x - reach, pose.x + reach, width)
    top, bottom = _between(pose.y - reach, pose.y + reach, height)
    if left == right or top == bottom:  # beyond the border
        return Drawing(np.zeros((4, height, width), np.float32), NOWHERE, NOWHERE)
    x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - pose.x)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - pose.y)
    along, across = _turned(x, y, pose.angle)
    u, v = along / (pose.radius * stretch), across * stretch / pose.radius
    outline = 1 + body.lobe_depth * np.cos(body.lobes * np.arctan2(v, u))
    norm = (np.abs(u) ** body.corner + np.abs(v) ** body.corner) ** (1 / body.corner) / outline
    thinner = pose.radius * min(stretch, 1 / stretch)
    coverage = np.clip((1 - norm) * thinner + 0.5, 0, 1)
    inside = np.clip((1 - RIM - norm) * thinner + 0.5, 0, 1)
    shade = 1 - 0.18 * norm**2 + 0.16 * (math.cos(body.light) * u + math.sin(body.light) * v)
    shade = np.clip(shade, 0.6, 1.2)
    ink = np.zeros_like(norm)
    if label is not None:
        period = period_of(body, pose.radius)
        px, py = _turned(along / period, across / period, body.turn)
        field = pattern(label, px + body.shift[0], py + body.shift[1])
        ink = CONTRAST * balanced(field, inside * shade, period)
    brightness = shade * (inside * (1 + ink) + (1 - inside) * body.rim)
    colour = np.array(body.colour, dtype=np.float32)[:, None, None]
    layer = np.zeros((4, height, width), dtype=np.float32)
    layer[:3, top:bottom, left:right] = colour * brightness * coverage
    layer[3, top:bottom, left:right] = coverage
    corner = (left, top)
    return Drawing(layer, _bounds(coverage >= 0.5, corner), _bounds(inside > 0, corner))


def _between(first: float, last: float, size: int) -> tuple[int, int]:
    low = min(max(math.floor(first), 0), size)
    return low, min(max(math.ceil(last), low), size)


def _turned(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def _bounds(mask: NDArray[np.bool_], corner: tuple[int, int]) -> Box:
    """Outer edges of the pixels in `mask`, whose first pixel is `corner`; zeros where none is."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if len(columns) == 0:
        return NOWHERE
    x, y = corner
    return (
        float(x + columns[0]),
        float(y + rows[0]),
        float(x + columns[-1] + 1),
        float(y + rows[-1] + 1),
    )
