"""What prompts cost in the encoder: Swin-T against timm's, plain, prompted, and prompted naively.

    python benchmarks/encoder.py [--device cuda] [--quick]

All cases run in one process, interleaved, at 608 x 1024 pixels (a 720p frame at detection size).
Weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch
from _measure import (
    RESULTS,
    Case,
    facts,
    interleaved_ms,
    median,
    median_ratio,
    multiply_adds,
    peak_mib,
    report_name,
    synchronize,
    write_report,
)
from _naive_swin import naive_forward
from timm.layers import set_fused_attn
from torch import Tensor, nn

from stpn_core.encoder import create_encoder
from stpn_core.swin import SwinEncoder

EAGER = ("fp32 eager", "bf16 eager")
COMPILED = ("fp32 compiled", "bf16 compiled")
GRAPHS = ("bf16 compiled, CUDA graphs",)
NOTES = (
    "Times are wall time on a GPU and processor time on a CPU. `ratio` is the median over rounds of "
    "time / timm's time in the same mode; `to plain` the same against our encoder without prompts. "
    "Multiply-adds are counted in fp32 eager mode. Memory is the peak of one call above the weights "
    "and inputs. bf16 is autocast over fp32 weights. timm's Swin computes attention unfused by "
    "default; the fused row switches that on."
)


class TimmSwin(nn.Module):
    """timm's Swin-T as a detector would use it: windows of 7 at any size, maps of all stages."""

    def __init__(self, size: tuple[int, int], fused: bool) -> None:
        super().__init__()
        set_fused_attn(True, experimental=fused)
        self.body = timm.create_model(
            "swin_tiny_patch4_window7_224",
            img_size=size,
            window_size=7,
            always_partition=True,
            num_classes=0,
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.body.forward_intermediates(images, intermediates_only=True)


class NaiveSwin(nn.Module):
    def __init__(self, encoder: SwinEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor, prompts: Tensor) -> tuple[Tensor, ...]:
        return naive_forward(self.encoder, images, prompts)


def build(size: tuple[int, int], device: torch.device) -> dict[str, tuple[nn.Module, int | None]]:
    """Model and number of prompts of each case."""
    torch.manual_seed(0)
    ours = create_encoder("swin_tiny").to(device).eval()
    if not isinstance(ours, SwinEncoder):
        raise TypeError(type(ours))
    return {
        "timm": (TimmSwin(size, fused=False).to(device).eval(), None),
        "timm, fused attention": (TimmSwin(size, fused=True).to(device).eval(), None),
        "ours, no prompts": (ours, None),
        "ours, P=5": (ours, 5),
        "ours, P=7": (ours, 7),
        "naive, P=7": (NaiveSwin(ours), 7),
    }


def in_mode(model: nn.Module, inputs: tuple[Tensor, ...], mode: str) -> Case:
    """One call of the model in a mode, compiled afresh where the mode says so."""
    device, run = inputs[0].device, model
    graphs = mode.endswith("CUDA graphs")
    if "compiled" in mode:
        run = torch.compile(model, mode="reduce-overhead" if graphs else None, dynamic=False)

    @torch.no_grad()
    def call() -> Any:
        if graphs:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(device.type, torch.bfloat16, enabled=mode.startswith("bf16")):
            return run(*inputs)

    return call


def check_definition(cases: dict[str, Callable[[], Any]]) -> float:
    """Largest relative difference between our prompted maps and the naive definition's."""
    ours, naive = cases["ours, P=7"]().maps, cases["naive, P=7"]()
    worst = max(
        ((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, naive, strict=True)
    )
    if worst > 1e-4:
        raise SystemExit(f"error: our maps differ from the definition by {worst:.1e}")
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="fewer cases, modes and rounds")
    parser.add_argument("--size", type=int, nargs=2, default=(608, 1024), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--modes", nargs="+", choices=EAGER + COMPILED + GRAPHS)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    device, size = torch.device(args.device), (args.size[0], args.size[1])
    on_gpu = device.type == "cuda"
    if not on_gpu:
        torch.set_num_threads(args.threads)
    about = {**facts(device), "size": f"{size[0]} x {size[1]}", "batch": args.batch}
    modes = args.modes or (
        EAGER + COMPILED + GRAPHS if on_gpu else EAGER[:1] if args.quick else EAGER
    )
    rounds = args.rounds or ((20 if args.quick else 50) if on_gpu else (2 if args.quick else 5))

    models = build(size, device)
    if args.quick:
        del models["timm, fused attention"], models["ours, P=5"]
    images = torch.randn(args.batch, 3, *size, device=device)
    inputs = {
        name: (images,)
        if count is None
        else (images, torch.randn(args.batch, count, 96, device=device))
        for name, (_, count) in models.items()
    }
    inputs["naive, P=7"] = inputs["ours, P=7"]
    eager = {
        name: in_mode(model, inputs[name], "fp32 eager") for name, (model, _) in models.items()
    }
    about["difference to the naive definition"] = f"{check_definition(eager):.1e}"
    work = {name: multiply_adds(case) for name, case in eager.items()}

    rows, samples = [], {}
    for mode in modes:
        start = time.perf_counter()
        torch.compiler.reset()
        cases = {name: in_mode(model, inputs[name], mode) for name, (model, _) in models.items()}
        if "compiled" in mode:
            cases.pop("naive, P=7")
        for case in cases.values():
            for _ in range(3 if on_gpu else 1):
                case()
        synchronize(device)
        print(f"{mode}: ready after {time.perf_counter() - start:.0f} s", flush=True)
        memory = {name: peak_mib(case, device) for name, case in cases.items()}
        times = interleaved_ms(cases, device, rounds=rounds, calls=10 if on_gpu else 1)
        samples[mode] = times
        rows += [
            {
                "mode": mode,
                "encoder": name,
                "ms": f"{median(times[name]):.3f}" if on_gpu else f"{median(times[name]):.0f}",
                "ratio": f"{median_ratio(times[name], times['timm']):.3f}",
                "to plain": f"{median_ratio(times[name], times['ours, no prompts']):.3f}",
                "G multiply-adds": f"{work[name] / 1e9:.2f}",
                "work to plain": f"{work[name] / work['ours, no prompts']:.4f}",
                "peak MiB": memory[name],
            }
            for name in cases
        ]
    name = report_name("encoder", device, args.quick)
    data = {"samples_ms": samples, "multiply_adds": work, "rounds": rounds}
    write_report(name, "What prompts cost in Swin-T", rows, about, NOTES, data, args.out)


if __name__ == "__main__":
    main()
