"""`stpn vot export`."""

from __future__ import annotations

import itertools
import sys

import numpy as np

from stpn_core.errors import InputError
from stpn_data.arrays.frames import FrameSource
from stpn_vot.arguments import read_box
from stpn_vot.box_in_frame import check_box
from stpn_vot.export.arguments import ExportArguments
from stpn_vot.export.check import Clip
from stpn_vot.export.write import ExportConfig, export
from stpn_vot.model_file import load_trained

_REAL = 20
"""Frames that an export is checked on."""


def run(arguments: ExportArguments) -> int:
    """Export, print what was written and how far it is from torch."""
    clip = real_clip(arguments.frames, arguments.box)
    if clip is None:
        print("no real frames at hand: checked on random ones only (--frames INPUT --box X,Y,W,H)")
    tracker = load_trained(arguments.weights)
    for note in tracker.notes:
        print(f"note: {note}", file=sys.stderr)
    config = ExportConfig(arguments.tracking, arguments.opset, arguments.tolerance)
    manifest = export(tracker, arguments.out, config, real=clip)
    size = sum(manifest.files.values())
    print(f"{len(manifest.files) + 1} files, {size / 1e6:.1f} MB -> {arguments.out}")
    return 0


def real_clip(source: str, box: str) -> Clip | None:
    """The first frames of a video, and a box on them."""
    if not source and not box:
        return None
    if not (source and box):
        raise InputError("--frames and --box: give both, or neither")
    frames = [np.ascontiguousarray(f.image) for f in itertools.islice(FrameSource(source), _REAL)]
    if len(frames) < 2:
        raise InputError(f"--frames {source}: {len(frames)} frames, at least 2 are needed")
    return Clip(frames, check_box(read_box(box), *frames[0].shape[1:]), "real")
