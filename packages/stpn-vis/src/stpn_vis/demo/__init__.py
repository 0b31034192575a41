"""`stpn vis demo`: from nothing to a report, on a CPU.

Synthesises videos of objects that look alike, cross and are occluded, trains STPN and its matched
prompt-free twin from the same start, evaluates both by severity, and writes one HTML page.
"""

from __future__ import annotations

import time

from stpn_data.readers import open_dataset
from stpn_vis.arguments import DemoArguments
from stpn_vis.config import twin
from stpn_vis.demo.arms import evaluate_arms
from stpn_vis.demo.report import write_report
from stpn_vis.demo.setting import START_STEPS, demo_data, demo_recipe
from stpn_vis.demo.start import train_start
from stpn_vis.train import train


def run(arguments: DemoArguments) -> int:
    """Do all of it in `arguments.out`; an interrupted demo goes on where it was."""
    began = time.perf_counter()
    out = arguments.out
    print("[1/6] synthesise videos")
    data = demo_data(out / "data", arguments)
    print("[2/6] train the encoder that both segmenters start from")
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
    page = out / "report.html"
    print(write_report(page, arms, recipe, data, time.perf_counter() - began))
    print(f"-> {page}")
    return 0
