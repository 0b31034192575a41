"""`stpn vod demo`: from nothing to a report, on a CPU, in minutes.

Synthesises videos whose classes cannot be told apart on degraded frames, trains STPN and its matched
single-frame twin from the same start, evaluates both by severity, and writes one HTML page.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from stpn_core.runs import load_config
from stpn_core.runs.run_dir import RunDir
from stpn_core.training import World, choose_device, read_metrics
from stpn_data.readers import open_dataset
from stpn_vod.arguments import DemoArguments
from stpn_vod.config import Recipe, twin
from stpn_vod.demo.clip import write_clip
from stpn_vod.demo.report import Arm, write_report
from stpn_vod.demo.setting import START_STEPS, demo_data, demo_recipe
from stpn_vod.demo.start import train_start
from stpn_vod.evaluate import detect_all
from stpn_vod.model_file import load_trained
from stpn_vod.severity import ap_by_severity, severities
from stpn_vod.train import train


def run(arguments: DemoArguments) -> int:
    """Do all of it in `arguments.out`; an interrupted demo goes on where it was."""
    began = time.perf_counter()
    out = arguments.out
    print("[1/6] synthesise videos")
    data = demo_data(out / "data", arguments)
    print("[2/6] train the encoder that both detectors start from")
    start = out / "start.safetensors"
    recipe = demo_recipe(data, start, arguments)
    train_start(start, recipe, open_dataset(data, "train"), arguments.steps or START_STEPS)
    for stage, (name, own) in enumerate((("twin", twin(recipe)), ("stpn", recipe)), start=3):
        print(f"[{stage}/6] train {name}: {own.optim.steps} steps")
        code = train(own, out / name)
        if code:
            return code
    print("[5/6] evaluate by severity")
    arms = evaluate_arms(recipe, out)
    print("[6/6] write the report")
    clip = write_clip(arms, out / "clip.mp4")
    report = write_report(
        out / "report.html", arms, recipe, data, clip, time.perf_counter() - began
    )
    print(f"{report.verdict}\n-> {out / 'report.html'}, {out / 'clip.mp4'}")
    return 0


def evaluate_arms(recipe: Recipe, out: Path) -> list[Arm]:
    """Twin, STPN, and STPN with its prompts switched off, on the same validation frames."""
    device = choose_device(recipe.run.device)
    world = World(0, 1, 0, device)
    index = open_dataset(out / "data", "val")
    severity = severities(index)
    arms = []
    for title, folder, prompts in (
        ("single-frame twin", "twin", False),
        ("STPN", "stpn", True),
        ("STPN, prompts off", "stpn", False),
    ):
        detector = load_trained(out / folder, device)
        if not prompts:
            detector.model.stpn.predictor = None
        found = detect_all(detector.model, index, recipe.eval, world)
        arms.append(
            Arm(
                title=title,
                detector=detector,
                index=index,
                severity=severity,
                found=found,
                scores=ap_by_severity(index, found, severity),
                metrics=read_metrics(out / folder / "metrics.jsonl"),
                config=load_config(RunDir(out / folder)) or dataclasses.asdict(recipe),
            )
        )
    return arms
