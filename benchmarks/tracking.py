"""What prompts cost a tracker per frame.

    python benchmarks/tracking.py [--device cuda] [--quick]

MixFormer with CvT-21 (templates of 128 pixels, search regions of 320, two online templates) and nine
prompts of the transformer predictor from 7 support frames, one every 8 frames; random weights. All
cases track the same frames with the same weights, through the whole tracker: crops, network, boxes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from _measure import (
    RESULTS,
    clock,
    facts,
    keep_freed_memory,
    median,
    median_ratio,
    report_name,
    synchronize,
    write_report,
)
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_vot.build import build_tracker
from stpn_vot.build_config import Options, TrackerConfig
from stpn_vot.mixformer import MixFormer
from stpn_vot.tracker import TrackState, start_tracking, track
from stpn_vot.tracking_config import TrackingConfig

NOTES = (
    "Processor time on one thread (wall time on a GPU) per frame, median of the rounds; `ratio` is the "
    "median over rounds against the first row of its group; every frame is tracked by all cases in "
    "turns. The first group is the tracker as it comes: new templates every 10 frames, a support frame "
    "and prompts from 7 maps every 8, so a sample is a period of 40. The second never renews templates, "
    "which costs the same with prompts or without; a sample is a period of 8. `clean` encodes a support "
    "frame once more without prompts, an eighth of a pass per frame; `reuse` keeps its map. `least` "
    "takes the fastest round of each frame of the period, then the mean: what other programs on the "
    "machine disturb least. On Linux the allocator is told to keep freed memory, as "
    "`MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_MMAP_THRESHOLD_=1073741824` in the environment does: "
    "page faults of large buffers are else a tenth of the time and hit cases at random."
)
PERIODS = {"": 40, ", templates kept": 8}
NEVER = 10**9
BOX = (560.0, 300.0, 120.0, 90.0)


def build(device: torch.device, quick: bool) -> tuple[MixFormer, TrackingConfig]:
    torch.manual_seed(0)
    small: Options = {"dims": (16, 24, 32), "depths": (1, 1, 2), "num_heads": (1, 3, 4)}
    config = TrackerConfig("cvt", small, score_heads=4) if quick else TrackerConfig()
    model = build_tracker(config).to(device).eval()
    # threshold: random weights are never sure; clip_margin: the box stays as large as a target is
    tracking = TrackingConfig(
        config.template_size, config.search_size, threshold=0.0, lost_below=0.0, clip_margin=100
    )
    return model, tracking


@torch.no_grad()
def settled(model: MixFormer, frame: Tensor, config: TrackingConfig) -> TrackState:
    """A state with all its templates and support frames, at a frame that is a support frame."""
    state = start_tracking(model, frame, BOX, config)
    initial = state.templates.initial
    online = (initial,) * config.slots
    cache = model.encode_templates(torch.stack([initial, *online])[None])
    state = replace(state, templates=replace(state.templates, online=online), cache=cache)
    if not state.memory.maps:
        return state
    count, stride = config.support_count, config.support_stride
    maps = state.memory.maps * count
    frames = tuple(stride * number for number in range(count))
    memory = replace(state.memory, frames=frames, maps=maps, prompts=_prompts(model, maps))
    return replace(state, frame=frames[-1], memory=memory)


def _prompts(model: MixFormer, maps: tuple[Tensor, ...]) -> Prompts:
    return model.predict_prompts(torch.stack(list(maps))[None])


def interleaved(
    model: MixFormer,
    starts: dict[str, TrackState],
    frames: list[Tensor],
    device: torch.device,
    rounds: int,
) -> dict[str, list[list[float]]]:
    """Milliseconds of each frame of a period, round by round, each frame by all in turns."""
    samples: dict[str, list[list[float]]] = {name: [] for name in starts}
    for number in range(rounds):
        states = dict(starts)
        for name in starts:
            samples[name].append([])
        for place, frame in enumerate(frames):
            turn = (number + place) % len(states)
            names = list(states)
            for name in names[turn:] + names[:turn]:
                begin = _now(device)
                # the same crop for all cases, wherever random weights put the box
                _, states[name] = track(model, replace(states[name], box=BOX), frame)
                samples[name][-1].append((_now(device) - begin) * 1e3)
        for name, state in states.items():  # as the notes say
            off = name.startswith("prompts off")
            assert len(state.memory.frames) == (0 if off else state.config.support_count)
            assert off or state.memory.frames != starts[name].memory.frames
            assert (state.cache is starts[name].cache) == (state.config.interval == NEVER)
    return samples


def _rows(samples: dict[str, list[list[float]]]) -> list[dict[str, str]]:
    """Each case against the first one."""
    per_frame = {name: [fmean(period) for period in rows] for name, rows in samples.items()}
    least = {name: fmean(map(min, zip(*rows, strict=True))) for name, rows in samples.items()}
    first = next(iter(samples))
    base = per_frame[first]
    return [
        {
            "case": name,
            "ms": f"{median(per_frame[name]):.1f}",
            "ratio": f"{median_ratio(per_frame[name], base):.3f}",
            "ratio, lowest and highest round": " to ".join(
                f"{extreme(v / b for v, b in zip(per_frame[name], base, strict=True)):.3f}"
                for extreme in (min, max)
            ),
            "least ms": f"{least[name]:.1f}",
            "ratio of the least": f"{least[name] / least[first]:.3f}",
        }
        for name in samples
    ]


def _now(device: torch.device) -> float:
    synchronize(device)
    return clock(device)


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
        keep_freed_memory()
    about = facts(device)
    model, config = build(device, args.quick)
    longest = max(PERIODS.values())
    frames = list(torch.randint(0, 256, (longest + 1, 3, 720, 1280), dtype=torch.uint8))
    rounds = args.rounds or (2 if args.quick else 6)
    rows: list[dict[str, str]] = []
    samples: dict[str, list[list[float]]] = {}
    for group, period in PERIODS.items():
        kept = config if not group else replace(config, interval=NEVER)
        starts = {
            f"prompts off{group}": settled(model, frames[0], replace(kept, prompts=False)),
            f"clean{group}": settled(model, frames[0], replace(kept, support="clean")),
            f"reuse{group}": settled(model, frames[0], replace(kept, support="reuse")),
        }
        for state in starts.values():  # warm
            track(model, state, frames[1])
        found = interleaved(model, starts, frames[1 : period + 1], device, rounds)
        samples |= found
        rows += _rows(found)
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
