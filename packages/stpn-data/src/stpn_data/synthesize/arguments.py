"""What `stpn data synthesize` is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stpn_data.degrade.apply import KINDS
from stpn_data.errors import DataError
from stpn_data.synthesize.path import SPEEDS
from stpn_data.synthesize.pattern import PATTERNS

SMALLEST, LARGEST = 64, 4096  # sides of a frame
MOST_OBJECTS = {"imagenet_vid": 2, "youtube_vis": 6, "got10k": 6}  # in a video, by layout
USUAL_OBJECTS = {"imagenet_vid": (1, 1), "youtube_vis": (2, 4), "got10k": (2, 4)}
USUAL_KINDS = ("blur", "defocus", "occlusion")
TRACKING_KINDS = (*USUAL_KINDS, "noise", "low_light")
TRACKING_SPEEDS = ("medium", "fast")  # a slow target is followed by a box that never moves


@dataclass(frozen=True)
class Arguments:
    """Everything the pixels depend on. Raises DataError for a value that makes no sense."""

    videos: int = 60
    val_videos: int = 18
    frames: int = 24
    size: tuple[int, int] = (128, 128)  # width, height
    num_classes: int = 6
    severity: tuple[float, float] = (0.3, 1.0)  # lowest and highest of a spoiled frame
    kinds: tuple[str, ...] = USUAL_KINDS
    fraction_degraded: float = 0.5
    burst: float = 2.0  # mean length in frames of a stretch that is spoiled or clean as a whole
    objects: tuple[int, int] = (1, 1)  # fewest and most per video
    mixed: bool = False  # objects of one video may differ in class
    speeds: tuple[str, ...] = SPEEDS
    quality: int = 92  # of the JPEG files
    seed: int = 0
    layout: str = "imagenet_vid"
    look_alikes: float = 0.5  # chance that an object looks like an earlier one, or like the target

    def __post_init__(self) -> None:
        low, high = self.severity
        fewest, most = self.objects
        limit = MOST_OBJECTS.get(self.layout, 1)
        boxes = self.layout == "imagenet_vid"
        checks = (
            (self.videos >= 0, "--videos", "0 or more"),
            (self.val_videos >= 0, "--val-videos", "0 or more"),
            (self.videos + self.val_videos > 0, "--videos", "at least one video in all"),
            (1 <= self.frames <= 999_999, "--frames", "1 to 999999"),
            (all(SMALLEST <= side <= LARGEST for side in self.size), "--size", "64 to 4096 a side"),
            (max(self.size) <= 4 * min(self.size), "--size", "sides at most 4 to 1"),
            (2 <= self.num_classes <= len(PATTERNS), "--classes", f"2 to {len(PATTERNS)}"),
            (0 <= low <= high <= 1, "--severity", "a number from 0 to 1, or two as 0.3-1"),
            (bool(self.kinds) and set(self.kinds) <= set(KINDS), "--kinds", ", ".join(KINDS)),
            (0 <= self.fraction_degraded <= 1, "--fraction-degraded", "0 to 1"),
            (1 <= self.burst < float("inf"), "--burst", "1 or more frames"),
            (self.layout in MOST_OBJECTS, "--layout", ", ".join(MOST_OBJECTS)),
            (1 <= fewest <= most <= limit, "--objects", f"1 to {limit}, or a range as 1-2"),
            (0 <= self.look_alikes <= 1, "--look-alikes", "0 to 1"),
            (boxes or not self.mixed, "--mixed", "the layout imagenet_vid: here all are"),
            (bool(self.speeds) and set(self.speeds) <= set(SPEEDS), "--speeds", ", ".join(SPEEDS)),
            (1 <= self.quality <= 100, "--quality", "1 to 100"),
            (0 <= self.seed < 2**63, "--seed", "0 or more"),
        )
        for fine, flag, allowed in checks:
            if not fine:
                raise DataError(f"{flag}: expected {allowed}")

    @property
    def classes(self) -> tuple[str, ...]:
        """In alphabetical order, as a reader lists them that finds them in the annotations."""
        return tuple(sorted(PATTERNS[: self.num_classes]))


@dataclass(frozen=True)
class Request:
    """A command line: what to make, where, and how to go about it."""

    out: Path
    arguments: Arguments
    workers: int
    overwrite: bool


def parse(argv: Sequence[str]) -> Request:
    """Raises DataError for values out of range; argparse exits with 2 for a malformed line."""
    default = Arguments()
    parser = argparse.ArgumentParser(
        prog="stpn data synthesize",
        description="Write degraded moving-object videos in the layout of ImageNet VID (boxes), of "
        "YouTube-VIS (instance masks) or of GOT-10k (one target to follow).",
    )
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help="new or empty folder")
    add("--layout", choices=tuple(MOST_OBJECTS), default=default.layout, help="(%(default)s)")
    add("--videos", type=int, default=default.videos, help="training videos (%(default)s)")
    add("--val-videos", type=int, default=default.val_videos, help="(%(default)s)")
    add("--frames", type=int, default=default.frames, help="per video (%(default)s)")
    add("--size", type=_size, default=default.size, metavar="WxH", help="in pixels (128x128)")
    add(
        "--classes", type=int, default=default.num_classes, metavar="N", help="2 to 8 (%(default)s)"
    )
    add(
        "--severity",
        type=_range,
        default=default.severity,
        metavar="S",
        help="of the spoiled frames: one number or a range to draw from, 0 clean to 1 (0.3-1)",
    )
    add(
        "--kinds",
        type=_names,
        help=f"of {','.join(KINDS)} ({','.join(USUAL_KINDS)}; for got10k noise and low_light, too)",
    )
    add(
        "--fraction-degraded",
        type=float,
        default=default.fraction_degraded,
        metavar="F",
        help="share of spoiled frames (%(default)s)",
    )
    add(
        "--burst",
        type=float,
        default=default.burst,
        metavar="B",
        help="mean length of a stretch of frames with one fate (%(default)s)",
    )
    add(
        "--objects",
        type=_count,
        metavar="N",
        help="per video: 1, 2 or 1-2 (1); other layouts up to 6 (2-4), for got10k with the target",
    )
    add(
        "--look-alikes",
        type=float,
        default=default.look_alikes,
        metavar="P",
        help="chance that an object looks like an earlier one (youtube_vis), or like the target but "
        "for its texture (got10k; %(default)s)",
    )
    add("--mixed", action="store_true", help="objects of a video differ in class")
    add("--speeds", type=_names, help=f"of {','.join(SPEEDS)} (all; for got10k medium and fast)")
    add("--quality", type=int, default=default.quality, help="of the JPEG files (%(default)s)")
    add("--seed", type=int, default=default.seed, help="(%(default)s)")
    add("--workers", type=int, default=0, help="processes; 0 takes one per core, at most 8")
    add("--overwrite", action="store_true", help="replace synthetic data that OUT holds")
    got = parser.parse_args(list(argv))
    got.objects = got.objects or USUAL_OBJECTS[got.layout]
    tracking = got.layout == "got10k"
    if got.kinds is None:
        got.kinds = TRACKING_KINDS if tracking else USUAL_KINDS
    if got.speeds is None:
        got.speeds = TRACKING_SPEEDS if tracking else SPEEDS
    fields = {name: getattr(got, name) for name in vars(default) if name != "num_classes"}
    if got.workers < 0:
        raise DataError("--workers: expected 0 or more")
    return Request(
        out=got.out,
        arguments=Arguments(num_classes=got.classes, **fields),
        workers=got.workers,
        overwrite=got.overwrite,
    )


def _size(text: str) -> tuple[int, int]:
    width, height = text.lower().split("x")
    return int(width), int(height)


def _range(text: str) -> tuple[float, float]:
    parts = [float(part) for part in text.split("-")]
    return parts[0], parts[-1]


def _count(text: str) -> tuple[int, int]:
    parts = [int(part) for part in text.split("-")]
    return parts[0], parts[-1]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
