"""`synthetic.json`: what was asked for, and what was done to each frame."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from stpn_data.errors import DataError
from stpn_data.synthesize.arguments import Arguments
from stpn_data.synthesize.got10k_files import frame_stem

FILE = "synthetic.json"
FORMAT = "stpn-synthetic"
VERSION = 1

# Upper limits of the bins, in order, exclusive but for 0 (which alone is clean) and 1.
SEVERITY_BINS = ("clean", "mild", "medium", "severe")
LIMITS = (0.0, 0.4, 0.7, 1.0)

Bin = Literal["clean", "mild", "medium", "severe"]


@dataclass(frozen=True)
class VideoRecord:
    """One video. Lists have one entry per frame."""

    name: str  # "val/synthetic_val_00000000"; got10k: "val/GOT-10k_Val_000001"
    scene: int  # videos of a split with the same scene differ in their patterns only
    speed: str  # slow, medium or fast: what was asked for
    kind: list[str]  # "clean" or the kind of degradation
    severity: list[float]
    classes: list[str]  # of each object, in order of trackid; got10k: of the target alone
    motion_iou: list[list[float]]  # of each object: one value per frame, 4 decimals


def severity_bin(severity: float) -> Bin:
    """clean (0), mild (below 0.4), medium (below 0.7) or severe.

    Raises DataError outside 0..1.
    """
    if not 0 <= severity <= 1:
        raise DataError(f"severity goes from 0 to 1, not {severity}")
    if severity == 0:
        return "clean"
    if severity < LIMITS[1]:
        return "mild"
    return "medium" if severity < LIMITS[2] else "severe"


def severity_of(root: str | Path) -> dict[str, tuple[str, float]]:
    """What was done to each frame of a synthetic data set.

    Args:
        root: the folder that `stpn data synthesize` wrote.

    Returns frame name ("val/synthetic_val_00000007/000012", in the layout got10k
    "val/GOT-10k_Val_000007/00000013") -> (kind, severity), where a clean frame has ("clean", 0.0).
    Raises DataError if `root` holds no readable `synthetic.json`.
    """
    layout, videos = _read(root)
    stem = frame_stem if layout == "got10k" else "{:06d}".format
    return {
        f"{video.name}/{stem(frame)}": (kind, severity)
        for video in videos
        for frame, (kind, severity) in enumerate(zip(video.kind, video.severity, strict=True))
    }


def read_record(root: str | Path) -> list[VideoRecord]:
    """The videos of `synthetic.json`, training first. Raises DataError if it cannot be used."""
    return _read(root)[1]


def _read(root: str | Path) -> tuple[str, list[VideoRecord]]:
    """Layout and videos."""
    path = Path(root) / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: not found; only synthetic data has a record") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path}: not a record of synthetic data")
    if content.get("version") != VERSION:
        raise DataError(
            f"{path}: version {content.get('version')}, this stpn-data reads version {VERSION}"
        )
    try:
        videos = [VideoRecord(**entry) for entry in content["videos"]]
        for video in videos:
            if len(video.kind) != len(video.severity):
                raise ValueError(
                    f"{video.name}: {len(video.kind)} kinds and another severity count"
                )
            for severity in video.severity:
                severity_bin(severity)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged: {error}") from None
    arguments = content.get("arguments")
    return arguments.get("layout", "") if isinstance(arguments, dict) else "", videos


def write_record(root: Path, arguments: Arguments, videos: list[VideoRecord]) -> None:
    """One line per video, so that a person can read it. Says nothing of time, place or machine."""
    head: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "arguments": asdict(arguments),
        "classes": arguments.classes,
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    rows = ",\n".join("  " + json.dumps(asdict(video)) for video in videos)
    text = "{\n" + ",\n".join(lines) + ',\n"videos": [\n' + rows + "\n]\n}\n"
    with open(root / FILE, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
