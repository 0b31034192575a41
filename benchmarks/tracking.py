"""What prompts cost a tracker per frame, and what a new online template costs beside them.

    python benchmarks/tracking.py [--device cuda] [--quick]

MixFormer with CvT-21 (templates of 128 pixels, search regions of 320, two online templates) and nine
prompts of the transformer predictor from 7 support frames, one every 8 frames; random weights. All
cases track the same frames with the same weights, through the whole tracker: crops, network, boxes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from _measure import (
    RESULTS,
    facts,
    interleaved_ms,
    median,
    median_ratio,
    report_name,
    write_report,
)
from torch import Tensor

from stpn_vot.build import build_tracker
from stpn_vot.build_config import TrackerConfig
from stpn_vot.mixformer import MixFormer
from stpn_vot.tracker import TrackState, start_tracking, track
from stpn_vot.tracking_config import TrackingConfig

NOTES = (
    "Processor time on one thread (wall time on a GPU) per frame, median of the rounds; `ratio` is the "
    "median over rounds against prompts off. A sample is a whole period of 8 frames, so that each "
    "holds one new support frame and one prediction of prompts from 7 maps. `clean` encodes that "
    "frame once more without prompts, an eighth of a pass per frame; `reuse` keeps its map. No case "
    "renews templates: that is the last row, for one renewal; by MixFormer's rule there is at most "
    "one every 10 frames, with prompts or without."
)
PERIOD = 8
NEVER = 10**9
BOX = (560.0, 300.0, 120.0, 90.0)


def build(device: torch.device, quick: bool) -> tuple[MixFormer, TrackingConfig]:
    torch.manual_seed(0)
    small = {"dims": (16, 24, 32), "depths": (1, 1, 2), "num_heads": (1, 3, 4)}
    config = TrackerConfig("cvt", small, score_heads=4) if quick else TrackerConfig()
    model = build_tracker(config).to(device).eval()
    # threshold: random weights are never sure; clip_margin: the box stays as large as a target is
    tracking = TrackingConfig(
        config.template_size, config.search_size, threshold=0.0, lost_below=0.0, clip_margin=100
    )
    return model, tracking


def settled(model: MixFormer, frames: list[Tensor], config: TrackingConfig) -> TrackState:
    """A state with all its templates and support frames, at a frame that is a support frame."""
    eager = replace(config, interval=1, support_stride=1)
    state = start_tracking(model, frames[0], BOX, eager)
    for frame in frames[1 : PERIOD + 1]:
        _, state = track(model, state, frame)
    stride = config.support_stride
    numbers = tuple(stride * number for number in range(len(state.memory.frames)))
    memory = replace(state.memory, frames=numbers)
    last = numbers[-1] if numbers else 0
    return replace(
        state, config=replace(config, interval=NEVER), frame=last, box=BOX, good=BOX, memory=memory
    )


def follow(model: MixFormer, state: TrackState, frames: list[Tensor]) -> TrackState:
    for frame in frames:
        # the same crop for all cases, wherever random weights put the box
        _, state = track(model, replace(state, box=BOX), frame)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="a small network, fewer rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--threads", type=int, default=1, help="of a CPU")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cpu":
        torch.set_num_threads(args.threads)
    about = facts(device)
    model, config = build(device, args.quick)
    frames = list(torch.randint(0, 256, (PERIOD + 1, 3, 720, 1280), dtype=torch.uint8))
    kinds = {
        "prompts off": replace(config, prompts=False),
        "clean": replace(config, support="clean"),
        "reuse": replace(config, support="reuse"),
    }
    states = {name: settled(model, frames, kind) for name, kind in kinds.items()}
    for name, state in states.items():  # warm, and as the notes say
        after = follow(model, state, frames[1:])
        renewed = after.memory.frames != state.memory.frames
        assert renewed == (name != "prompts off")
        assert len(after.memory.frames) == (0 if name == "prompts off" else config.support_count)
        assert after.cache is state.cache

    templates = torch.randn(1, 3, 3, config.template_size, config.template_size, device=device)

    def renew() -> None:
        with torch.no_grad():
            model.encode_templates(templates)

    cases: dict[str, Callable[[], object]] = {
        name: lambda state=state: follow(model, state, frames[1:])  # type: ignore[misc]
        for name, state in states.items()
    }
    cases["a renewal of the templates"] = renew
    renew()
    rounds = args.rounds or (2 if args.quick else 15)
    samples = interleaved_ms(cases, device, rounds=rounds)
    for name in kinds:
        samples[name] = [value / PERIOD for value in samples[name]]
    base = samples["prompts off"]
    rows = [
        {
            "case": name,
            "ms": f"{median(samples[name]):.1f}",
            "ratio": f"{median_ratio(samples[name], base):.3f}",
            "lowest and highest": " to ".join(
                f"{extreme(v / b for v, b in zip(samples[name], base, strict=True)):.3f}"
                for extreme in (min, max)
            ),
        }
        for name in cases
    ]
    about |= {"encoder": "a small CvT" if args.quick else "CvT-21", "rounds": rounds}
    write_report(
        report_name("tracking", device, args.quick),
        "What prompts cost a tracker",
        rows,
        about,
        NOTES,
        {"samples_ms": samples},
        args.out,
    )


if __name__ == "__main__":
    main()
