"""What a stream costs per frame: window, online and uniform support, and encoding supports anew.

    python benchmarks/streaming.py [--device cuda] [--quick]

Swin-T with the attention predictor and random weights, 14 support frames, stride 8. A pass is one
run of the backbone over one frame. "Naive" is the plain definition: every frame encodes its 14
supports again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from _measure import (
    RESULTS,
    clock,
    facts,
    median,
    median_ratio,
    report_name,
    synchronize,
    write_report,
)
from torch import Tensor

from stpn_core.encoder import create_encoder
from stpn_core.predictors import create_predictor
from stpn_core.stpn import STPN
from stpn_core.streaming import (
    StreamState,
    SupportPolicy,
    finish,
    prompts_for,
    start_stream,
    step,
)
from stpn_data.support import OnlinePolicy, UniformPolicy, WindowPolicy

NOTES = (
    "Times are wall time on a GPU and processor time on a CPU, per frame, of a whole video (of a few "
    "frames in its middle for the naive rows); `ratio` is the median over rounds against the plain "
    "encoder. A window stream ends with the frames that waited for later ones, all included."
)


class Passes:
    """Counts backbone passes of a model by frame."""

    def __init__(self, stpn: STPN) -> None:
        self.count = 0
        stpn.encoder.body.patch_embed.register_forward_hook(self._add)

    def _add(self, module: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.count += len(inputs[0])


def build(device: torch.device) -> STPN:
    torch.manual_seed(0)
    encoder = create_encoder("swin_tiny")
    predictor = create_predictor(
        "attention", support_dim=encoder.support_dim, prompt_dims=encoder.prompt_dim
    )
    return STPN(encoder, predictor).to(device).eval()


def stream(stpn: STPN, frames: list[Tensor], state: StreamState) -> int:
    """Run a whole video; returns the frames answered."""
    answered = 0
    for frame in frames:
        outputs, state = step(stpn, state, frame)
        answered += len(outputs)
    return answered + len(finish(stpn, state))


def uniform(stpn: STPN, frames: list[Tensor]) -> int:
    chosen = UniformPolicy().indices(0, len(frames))
    prompts = prompts_for(stpn, (frames[i] for i in chosen))
    return stream(stpn, frames, start_stream(None, prompts=prompts))


@torch.no_grad()
def naive(stpn: STPN, frames: list[Tensor], policy: SupportPolicy, count: int) -> int:
    """The first `count` frames that have a full support, or the last ones."""
    full = [t for t in range(len(frames)) if len(policy.indices(t, len(frames))) == 14]
    chosen = (full or list(range(len(frames))))[-count:]
    for t in chosen:
        support = policy.indices(t, len(frames))
        stpn.encode(frames[t][None], prompts_for(stpn, (frames[i] for i in support)))
    return len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="smaller frames, fewer rounds")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"))
    parser.add_argument("--frames", type=int, help="of the video")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    device = torch.device(args.device)
    on_gpu = device.type == "cuda"
    if not on_gpu:
        torch.set_num_threads(args.threads)
    height, width = args.size or (
        (608, 1024) if on_gpu else (96, 160) if args.quick else (160, 256)
    )
    length = args.frames or (480 if on_gpu else 128)
    rounds = args.rounds or (1 if args.quick else 3 if on_gpu else 2)
    about = {**facts(device), "size": f"{height} x {width}", "frames": length}

    stpn = build(device)
    passes = Passes(stpn)
    frames = list(torch.randn(16, 3, height, width, device=device)) * -(-length // 16)
    frames = frames[:length]
    window, online = WindowPolicy(), OnlinePolicy()
    cases: dict[str, Callable[[], int]] = {
        "plain encoder": lambda: stream(stpn, frames, start_stream(None)),
        "window": lambda: stream(stpn, frames, start_stream(window)),
        "online": lambda: stream(stpn, frames, start_stream(online)),
        "uniform": lambda: uniform(stpn, frames),
        "naive window": lambda: naive(stpn, frames, window, 3),
        "naive online": lambda: naive(stpn, frames, online, 3),
    }
    stream(stpn, frames[:10], start_stream(online))
    samples: dict[str, list[float]] = {name: [] for name in cases}
    per_frame = {}
    for number in range(rounds):
        names = list(cases)[number % len(cases) :] + list(cases)[: number % len(cases)]
        for name in names:
            passes.count = 0
            synchronize(device)
            start = clock(device)
            answered = cases[name]()
            synchronize(device)
            samples[name].append((clock(device) - start) / answered * 1e3)
            per_frame[name] = passes.count / answered
    rows = [
        {
            "support": name,
            "passes per frame": f"{per_frame[name]:.3f}",
            "ms per frame": f"{median(samples[name]):.1f}",
            "ratio": f"{median_ratio(samples[name], samples['plain encoder']):.3f}",
        }
        for name in cases
    ]
    name = report_name("streaming", device, args.quick)
    data = {"samples_ms": samples, "passes_per_frame": per_frame, "rounds": rounds}
    write_report(name, "What a stream costs per frame", rows, about, NOTES, data, args.out)


if __name__ == "__main__":
    main()
