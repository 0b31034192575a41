"""Mask2Former with Swin-T, frame by frame: stpn-vis against Transformers, with the same weights.

    python benchmarks/segmenter.py [--device cuda] [--quick] [--modes ...]

Both models in one process, in turns, at 480 x 864 pixels (the test size of YouTube-VIS), 100 queries,
41 classes; the other model gets the weights that `stpn vis export-weights` writes, and the answers
are compared first. "ours, prompted" has prompts that are there already, as in a video whose support
does not change. Needs transformers.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

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
    write_report,
)
from torch import Tensor, nn

from stpn_vis.build import build_segmenter
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.export_weights import export_weights
from stpn_vis.predictions import FramePredictions
from stpn_vis.segmenter import Segmenter
from stpn_vis.weights import StoredSegmenter

MODES = ("fp32 eager", "bf16 eager", "fp32 compiled", "bf16 compiled")
NOTES = (
    "Times are wall time on a GPU and processor time on a CPU, per call. `ratio` is the median over "
    "rounds of time / Transformers' time in the same mode. Multiply-adds are counted in fp32 eager "
    "mode, without sampling. bf16 is autocast over fp32 weights; the pixel decoder of ours stays in "
    "fp32. Memory is the peak of one call above the weights and inputs."
)


class Theirs(nn.Module):
    """Transformers' model with the weights of ours."""

    def __init__(self, ours: Segmenter, config: SegmenterConfig) -> None:
        super().__init__()
        from transformers import Mask2FormerForUniversalSegmentation

        with tempfile.TemporaryDirectory() as folder:
            stored = StoredSegmenter(ours.state_dict(), config, (), Path("memory"))
            export_weights(stored, Path(folder) / "model", "transformers")
            self.model = Mask2FormerForUniversalSegmentation.from_pretrained(
                Path(folder) / "model", local_files_only=True
            )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.model(pixel_values=images)
        return found.class_queries_logits, found.masks_queries_logits


class Prompted(nn.Module):
    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, prompts: Tensor) -> FramePredictions:
        return self.model.decode(self.model.stpn.encode(images, prompts))


def in_mode(model: nn.Module, inputs: tuple[Tensor, ...], mode: str) -> Case:
    """One call of the model in a mode, compiled afresh where the mode says so."""
    device = inputs[0].device
    run = torch.compile(model, dynamic=False) if "compiled" in mode else model

    @torch.no_grad()
    def call() -> Any:
        with torch.autocast(device.type, torch.bfloat16, enabled=mode.startswith("bf16")):
            return run(*inputs)

    return call


def difference(ours: FramePredictions, theirs: tuple[Tensor, Tensor]) -> float:
    """Share of all mask pixels that the two models put on different sides of the threshold."""
    return ((ours.masks > 0) != (theirs[1] > 0)).double().mean().item()


def main() -> None:
    args = _parse()
    device = torch.device(args.device)
    if device.type == "cpu":
        torch.set_num_threads(args.threads)
    size = (256, 448) if args.quick else (480, 864)
    about = {**facts(device), "size": f"{size[0]} x {size[1]}", "batch": args.batch}
    torch.manual_seed(0)
    config = replace(SegmenterConfig().single_frame(), drop_path=0.0)
    ours = build_segmenter(config).eval().requires_grad_(False)
    theirs = Theirs(ours, config).to(device).eval().requires_grad_(False)
    ours = ours.to(device)
    images = torch.randn(args.batch, 3, *size, device=device)
    prompts = torch.randn(args.batch, 5, ours.stpn.encoder.prompt_dim, device=device)
    models: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
        "Transformers": (theirs, (images,)),
        "ours": (ours, (images,)),
        "ours, prompted": (Prompted(ours), (images, prompts)),
    }
    eager = {name: in_mode(model, given, MODES[0]) for name, (model, given) in models.items()}
    share = difference(eager["ours"](), eager["Transformers"]())
    about["pixels that differ from Transformers'"] = f"{share:.1e}"
    if share > 1e-2:
        raise SystemExit(f"error: {share:.1%} of the mask pixels differ from Transformers'")
    work = {name: multiply_adds(case) for name, case in eager.items()}
    rounds = args.rounds or (3 if args.quick else 7)
    rows, samples = [], {}
    for mode in args.modes or (MODES[:1] if args.quick else MODES):
        torch.compiler.reset()
        cases = {name: in_mode(model, given, mode) for name, (model, given) in models.items()}
        for case in cases.values():
            case()
        memory = {name: peak_mib(case, device) for name, case in cases.items()}
        samples[mode] = times = interleaved_ms(cases, device, rounds=rounds)
        rows += [
            {
                "mode": mode,
                "model": name,
                "ms": f"{median(times[name]):.1f}",
                "ratio": f"{median_ratio(times[name], times['Transformers']):.3f}",
                "G multiply-adds": f"{work[name] / 1e9:.2f}",
                "peak MiB": memory[name],
            }
            for name in cases
        ]
    write_report(
        report_name("segmenter", device, args.quick),
        "Mask2Former with Swin-T, ours and Transformers'",
        rows,
        about,
        NOTES,
        {"samples_ms": samples, "multiply_adds": work},
        args.out,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="a quarter of the pixels, few rounds")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--modes", nargs="+", choices=MODES)
    parser.add_argument("--rounds", type=int, help="samples of each case")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
