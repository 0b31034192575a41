"""`stpn vot demo`: from nothing to a report, on a CPU, in minutes.

Synthesises blurred and occluded targets among look-alikes, trains STPN and its matched prompt-free
twin from the same start, follows the targets with both, and writes one HTML page.
"""

from __future__ import annotations

import os
import sys
import time

from stpn_core.training import EvaluationStopped, StopFlag, listening
from stpn_data.readers import open_dataset
from stpn_vot.arguments import DemoArguments
from stpn_vot.config import twin
from stpn_vot.demo.arms import SPLIT, measure, track_all
from stpn_vot.demo.pictures import write_clip
from stpn_vot.demo.report import write_report
from stpn_vot.demo.setting import (
    CROP_STEPS,
    START_STEPS,
    clean_data,
    demo_data,
    demo_recipe,
    start_recipe,
)
from stpn_vot.demo.start import train_crops
from stpn_vot.train import train


def run(arguments: DemoArguments) -> int:
    """Do all of it in `arguments.out`; an interrupted demo goes on where it was."""
    began, out, steps = time.perf_counter(), arguments.out, arguments.steps
    fresh = not out.exists()
    print("[1/7] synthesise videos")
    data, clean = demo_data(out / "data", arguments), clean_data(out / "clean", arguments)
    recipe = demo_recipe(data, out / "start", arguments)
    print("[2/7] train an encoder on crops of clean videos")
    crops = out / "crops.safetensors"
    train_crops(crops, recipe, open_dataset(clean, "train"), steps or CROP_STEPS)
    start = start_recipe(recipe, clean, crops, steps or START_STEPS)
    runs = (
        ("start", "the tracker that both start from, on clean videos", start),
        ("twin", "the twin", twin(recipe)),
        ("stpn", "STPN", recipe),
    )
    for stage, (name, what, own) in enumerate(runs, start=3):
        print(f"[{stage}/7] train {what}: {own.optim.steps} steps")
        code = train(own, out / name)
        if code:
            return code
    print("[6/7] follow the targets of the validation videos")
    stop = StopFlag()
    try:
        with listening(stop):
            folders = track_all(recipe, out, stop.__bool__)
    except EvaluationStopped:
        print(f"stopped; the same command goes on in {out}", file=sys.stderr)
        return stop.exit_code or 143
    print("[7/7] write the report")
    index, arms = open_dataset(data, SPLIT), measure(recipe, out, folders)
    clip = write_clip(out / "clip.mp4", index, arms)
    notes = {"this run": _time(time.perf_counter() - began, fresh)}
    said = write_report(out / "report.html", arms, index, recipe, start, notes)
    print(f"{said}\n-> {out / 'report.html'}, {clip}")
    return 0


def _time(seconds: float, fresh: bool) -> str:
    """How long it took and how much of a processor it had meanwhile, its worker processes included."""
    used = sum(os.times()[:4])
    return (
        f"{seconds:.0f} s, {used:.0f} s of processor time, {os.cpu_count()} cores with a load of "
        f"{os.getloadavg()[0]:.1f}{'' if fresh else '; the rest is from before'}"
    )
