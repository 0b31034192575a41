"""What a training step of `vid_swin_t` costs: seconds and peak memory, STPN beside its twin.

    python benchmarks/training.py [--device cuda] [--quick]

600 x 1000 frames, two support frames, batch 1 and 2, random weights and boxes; fp32, on a GPU also
bf16, with and without gradient checkpointing. `--quick` shrinks the frames and takes one step each.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch
from _measure import RESULTS, facts, interleaved_ms, median, peak_mib, report_name, write_report

from stpn_core.training import autocast, param_groups
from stpn_vod.build import build_detector
from stpn_vod.config import Recipe, twin
from stpn_vod.recipes import get_recipe


def one_step(
    recipe: Recipe, device: torch.device, size: tuple[int, int], batch: int, bf16: bool
) -> Callable[[], None]:
    """A function that takes one optimiser step."""
    torch.manual_seed(0)
    model = build_detector(recipe.model).to(device).train()
    optimizer = torch.optim.AdamW(param_groups(model, 1e-5, 0.05), lr=1e-5)
    height, width = (-(-side // 32) * 32 for side in size)
    images = torch.randn(batch, 3, height, width, device=device)
    support = torch.randn(batch, 2, 3, height, width, device=device)
    sizes = torch.tensor([size] * batch, device=device)
    low = torch.rand(batch, 5, 2, device=device) * torch.tensor(size[::-1], device=device) / 2
    boxes = torch.cat([low, low + 20 + low / 2], 2)
    labels = torch.randint(0, 30, (batch, 5), device=device)
    prompted = recipe.model.predictor is not None

    def step() -> None:
        with autocast("bf16" if bf16 else "fp32", device):
            losses = model.loss(
                images, sizes, list(boxes), list(labels),
                support if prompted else None,
                support_labels=list(labels) if prompted else None,
            )  # fmt: skip
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    device = torch.device(options.device)
    size = (160, 256) if options.quick else (600, 1000)
    rounds = 1 if options.quick else (20 if device.type == "cuda" else 2)
    stpn = get_recipe("vid_swin_t")
    saving = dataclasses.replace(stpn, model=dataclasses.replace(stpn.model, checkpointing=True))
    recipes = {"STPN": stpn, "twin": twin(stpn), "STPN, checkpointing": saving}
    rows = []
    for batch in (1, 2):
        for bf16 in (False, True) if device.type == "cuda" else (False,):
            steps = {
                name: one_step(recipe, device, size, batch, bf16)
                for name, recipe in recipes.items()
            }
            memory = {}
            for name, step in steps.items():
                step()  # warm up: optimiser state is made here
                memory[name] = peak_mib(step, device)
            times = interleaved_ms(steps, device, rounds=rounds)
            rows += [
                {
                    "batch": batch,
                    "precision": "bf16" if bf16 else "fp32",
                    "model": name,
                    "s/step": round(median(times[name]) / 1e3, 4),
                    "to twin": round(median(times[name]) / median(times["twin"]), 3),
                    "peak MiB": memory[name],
                }
                for name in recipes
            ]
    notes = (
        "Time is wall time on a GPU and processor time on a CPU. Memory is the peak of one step "
        "above weights, optimiser state and inputs. Two support frames without gradient."
    )
    about = facts(device) | {"size": f"{size[0]} x {size[1]}"}
    name = report_name("training", device, options.quick)
    title = "What a training step of vid_swin_t costs"
    write_report(name, title, rows, about, notes, {}, options.out)


if __name__ == "__main__":
    main()
