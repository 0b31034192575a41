"""How long the evaluators of ImageNet VID take: a million boxes, and the size of its validation set.

    python benchmarks/evaluators.py [--quick]

Frames, objects and detections are random in the numbers of the real set: 1.6 objects a frame, a
fifth of the detections near an object, motion of all speeds, 30 classes. Exits with 1 if an evaluator
takes longer than a minute.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import RESULTS, facts, peak_mib, report_name, write_report

from stpn_data.index import Video, VideoIndex, build_index
from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.motion import motion_iou
from stpn_vod.vid_ap import AREAS, fgfa_ap, mega_ap, vfe_ap, vid_truth
from stpn_vod.vid_ap.fgfa import ANY_AREA

CLASSES = tuple(f"class {i}" for i in range(30))
LENGTH = 317  # mean frames of a validation video
LIMIT = 60.0
NOTES = (
    "Seconds of processor time on one thread, tables of every class included. FGFA computes four "
    "area ranges at once. Motion IoU is of the annotations alone. Memory is what a call holds at its "
    "peak beyond its inputs."
)


def make_index(frames: int, rng: np.random.Generator) -> VideoIndex:
    """Videos of one to three drifting objects."""
    videos = []
    for number in range(max(1, frames // LENGTH)):
        tracks = int(rng.choice([1, 1, 2, 3]))
        start = rng.uniform(100, 800, (tracks, 1, 2))
        path = start + np.cumsum(rng.normal(0, rng.uniform(0.2, 12), (tracks, LENGTH, 2)), 1)
        sides = rng.uniform(15, 300, (tracks, 1, 2)) * np.ones((1, LENGTH, 1))
        boxes = np.concatenate([path, path + sides], 2).swapaxes(0, 1)  # by frame, then object
        seen = rng.random((LENGTH, tracks)) < 0.92
        labels = np.broadcast_to(rng.integers(0, 30, tracks), seen.shape)
        videos.append(
            Video(
                name=f"v{number}",
                folder="/nowhere",
                files=[f"{t:06d}.jpg" for t in range(LENGTH)],
                sizes=np.full((LENGTH, 2), (1280, 720), np.int32),
                box_counts=seen.sum(1),
                boxes=boxes[seen].astype(np.float32),
                labels=labels[seen].astype(np.int16),
                tracks=np.broadcast_to(np.arange(tracks), seen.shape)[seen].astype(np.int32),
            )
        )
    return build_index(Path("/nowhere"), CLASSES, "random", videos)


def make_detections(index: VideoIndex, count: int, rng: np.random.Generator) -> FrameBoxes:
    """A fifth near objects of their frame, mostly of its class; the others anywhere."""
    truth = vid_truth(index).boxes
    near = rng.integers(0, len(truth), count // 5)
    far = count - len(near)
    corner = rng.uniform(0, 1000, (far, 2))
    sides = rng.uniform(15, 300, (far, 2))
    noise = rng.normal(0, 0.08, (len(near), 4)) * np.tile(
        truth.boxes[near, 2:] - truth.boxes[near, :2], 2
    )
    boxes = np.concatenate([truth.boxes[near] + noise, np.concatenate([corner, corner + sides], 1)])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    labels = np.concatenate([truth.labels[near], rng.integers(0, 30, far)])
    frames = np.concatenate([truth.frames[near], rng.integers(0, index.num_frames, far)])
    scores = np.concatenate([rng.beta(4, 2, len(near)), rng.beta(1, 8, far)])
    return FrameBoxes(frames, boxes, labels, scores)


def seconds(case: Callable[[], Any]) -> float:
    start = time.process_time()
    case()
    return time.process_time() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="50,000 detections on 5,000 frames")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    about = facts(device)
    rng = np.random.default_rng(0)
    index = make_index(5_000 if args.quick else 176_126, rng)
    found = make_detections(index, 50_000 if args.quick else 1_000_000, rng)
    truth = vid_truth(index)
    cases: dict[str, Callable[[], Any]] = {
        "motion IoU": lambda: motion_iou(index),
        "MEGA": lambda: list(mega_ap(truth, found, CLASSES)),
        "VFE": lambda: list(vfe_ap(truth, found, CLASSES)),
        "FGFA": lambda: list(fgfa_ap(truth, found, CLASSES, areas=(ANY_AREA, *AREAS))),
    }
    rows, slow = [], []
    for name, case in cases.items():
        took = seconds(case)
        memory = peak_mib(case, device)
        rows.append(
            {
                "evaluator": name,
                "frames": index.num_frames,
                "objects": len(truth.boxes),
                "detections": len(found),
                "s": round(took, 2),
                "peak MiB": memory if memory is None else round(memory),
            }
        )
        slow += [name] * (took > LIMIT)
    name = report_name("evaluators", device, args.quick)
    write_report(name, "What evaluation takes", rows, about, NOTES, {}, args.out)
    for evaluator in slow:
        print(f"error: {evaluator} took longer than {LIMIT:.0f} s", file=sys.stderr)
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
