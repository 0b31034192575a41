"""Deformable attention in its two exact forms: which is faster here, and thus the default.

    python benchmarks/deformable_attention.py [--device cuda] [--quick] [--rounds N]

One layer of the pixel decoder (8 heads of 32 channels, 3 levels, 4 points) at 480 x 864 pixels, the
test size of YouTube-VIS: sampling alone, forward, and forward with backward. All cases run in one
process, interleaved. `sampling="auto"` follows what this finds, see
`stpn_vis.deformable_attention.sampler`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
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
    peak_mib,
    report_name,
    write_report,
)
from torch import Tensor

from stpn_vis.build_config import Sampling
from stpn_vis.deformable_attention import DeformableAttention, Shapes, sampler
from stpn_vis.positions import cell_centres

FORMS: tuple[Sampling, ...] = ("grid_sample", "embedding_bag")
NOTES = (
    "Milliseconds per call: wall time on a GPU, processor time on a CPU (median of the rounds). "
    "`ratio` is the median over rounds of embedding_bag / grid_sample: below 1 the former is faster. "
    "Memory is the peak of one call above what was held before."
)


def main() -> None:
    options = _parse()
    device = torch.device(options.device)
    torch.manual_seed(0)
    height, width = (240, 432) if options.quick else (480, 864)
    shapes = [(height // s, width // s) for s in (32, 16, 8)]
    rounds = options.rounds or (3 if options.quick else 7)
    rows: list[dict[str, Any]] = []
    samples: dict[str, Any] = {}
    for batch in (1, 2):
        for work, make in WORKS.items():
            cases = {form: make(form, batch, shapes, device) for form in FORMS}
            for case in cases.values():
                case()
            times = interleaved_ms(cases, device, rounds=rounds)
            rows.append(
                {
                    "batch": batch,
                    "work": work,
                    **{f"{form} ms": round(median(times[form]), 1) for form in FORMS},
                    "ratio": round(median_ratio(times["embedding_bag"], times["grid_sample"]), 2),
                    **{f"{form} MiB": peak_mib(cases[form], device) for form in FORMS},
                }
            )
            samples[f"batch {batch}, {work}"] = times
    write_report(
        report_name("deformable_attention", device, options.quick),
        f"Deformable attention at {height} x {width}",
        rows,
        facts(device),
        NOTES,
        {"samples_ms": samples},
        options.out,
    )


Make = Callable[[Sampling, int, Shapes, torch.device], Case]


def _layer(form: Sampling, batch: int, shapes: Shapes, device: torch.device) -> tuple[Any, ...]:
    """The module, and tokens that want a gradient."""
    layer = DeformableAttention(256, sampling=form).to(device)
    count = sum(h * w for h, w in shapes)
    tokens = torch.randn(batch, count, 256, device=device, requires_grad=True)
    return layer, tokens, cell_centres(shapes, tokens)[None, :, None]


def _sampling(form: Sampling, batch: int, shapes: Shapes, device: torch.device) -> Case:
    count = sum(h * w for h, w in shapes)
    value = torch.randn(batch, count, 8, 32, device=device)
    near = cell_centres(shapes, value)[None, :, None, None, None]
    locations = near + 0.05 * torch.randn(batch, count, 8, 3, 4, 2, device=device)
    weights = torch.rand(batch, count, 8, 3, 4, device=device)
    sample = sampler(form, device)

    @torch.no_grad()
    def case() -> Tensor:
        return sample(value, shapes, locations, weights)

    return case


def _forward(form: Sampling, batch: int, shapes: Shapes, device: torch.device) -> Case:
    layer, tokens, reference = _layer(form, batch, shapes, device)

    @torch.no_grad()
    def case() -> Tensor:
        return layer(tokens, reference, tokens, shapes)

    return case


def _backward(form: Sampling, batch: int, shapes: Shapes, device: torch.device) -> Case:
    layer, tokens, reference = _layer(form, batch, shapes, device)
    return lambda: layer(tokens, reference, tokens, shapes).sum().backward()


WORKS: dict[str, Make] = {
    "sampling": _sampling,
    "layer, forward": _forward,
    "layer, forward and backward": _backward,
}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="a quarter of the pixels, few rounds")
    parser.add_argument("--rounds", type=int, help="samples of each case")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
