"""An exported detector against torch: size on disk, difference, and time of each graph on a CPU.

    python benchmarks/export.py [--size 608x1024] [--frames VIDEO] [--quick]

Faster R-CNN on Swin-T with the released predictor (5 prompts) and 30 classes, random weights, fp32,
one thread. onnxruntime runs the graphs that `stpn vod export` writes, torch runs the detector as it
is; both in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _measure import (
    RESULTS,
    Case,
    facts,
    interleaved_ms,
    median,
    median_ratio,
    report_name,
    write_report,
)

from stpn_core import Features
from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.check import random_samples
from stpn_vod.export.command import at_size, real_frames
from stpn_vod.export.write import ExportConfig, export
from stpn_vod.model_file import TrainedDetector
from stpn_vod.roi_align import pool_regions
from stpn_vod.runner.manifest import read_manifest
from stpn_vod.runner.model import ExportedModel

NOTES = (
    "Times are processor time; `ratio` is the median over rounds of onnxruntime / torch. `difference` "
    "is the largest over random and, where given, real frames: of maps, tokens and prompts in units "
    "of their largest value, of detections in pixels and scores. `with prompts` is encoder and head: "
    "a frame of a stream whose prompts stand; a new support frame adds `plain` and `predictor`."
)


@torch.no_grad()
def build() -> TrainedDetector:
    """Random weights, scaled so that scores and boxes differ about as a trained detector's do."""
    torch.manual_seed(0)
    config = DetectorConfig()
    model = build_detector(config).eval()
    assert isinstance(model, FasterRCNN)
    sizes = torch.tensor([[160, 256]])
    pyramid = model.fpn(model.stpn.encoder(torch.randn(1, 3, 160, 256)))
    dense = model.rpn(pyramid, sizes)
    model.rpn.objectness.weight.mul_(2 / dense.logits.std())
    model.rpn.deltas.weight.mul_(0.3 / dense.deltas.std())
    regions = model.rpn.propose(model.rpn(pyramid, sizes), sizes, 300)[0].boxes
    logits, deltas = model.roi(pool_regions(pyramid, [regions]))
    model.roi.classify.weight.mul_(2 / logits.std())
    model.roi.regress.weight.mul_(0.5 / deltas.std())
    return TrainedDetector(model, config, tuple(map(str, range(30))), Path("random"))


@torch.no_grad()
def cases(model: FasterRCNN, exported: ExportedModel, support: int) -> dict[str, tuple[Case, Case]]:
    """Of each graph, torch's and onnxruntime's."""
    graphs = exported.manifest.graphs[0]
    sample = random_samples(graphs, 1)[0]
    image, sizes = torch.from_numpy(sample.image), torch.tensor([sample.size])
    stpn = model.stpn
    tokens = stpn.encoder.embed(image)
    memory = tokens[:, None].repeat(1, support, 1, 1, 1)
    prompts = stpn.predict_prompts(memory)
    features = stpn.encoder(image, prompts)
    arrays = {
        "tokens": [tokens[0].numpy()] * support,
        "prompts": [prompts.numpy()],
        "maps": [np.ascontiguousarray(level.numpy()) for level in features.maps],
    }
    none: Any = None

    def with_prompts() -> Any:
        maps = exported.encode(graphs, sample.image, arrays["prompts"])
        return exported.detect(graphs, maps, sample.size)

    return {
        "plain": (
            lambda: stpn.encoder(image, none),
            lambda: exported.encode(graphs, sample.image, none),
        ),
        "encoder": (
            lambda: stpn.encoder(image, prompts),
            lambda: exported.encode(graphs, sample.image, arrays["prompts"]),
        ),
        f"predictor, K={support}": (
            lambda: stpn.predict_prompts(memory),
            lambda: exported.prompts(graphs, arrays["tokens"]),
        ),
        "head": (
            lambda: model.detect(Features(features.maps, features.strides), sizes),
            lambda: exported.detect(graphs, arrays["maps"], sample.size),
        ),
        "with prompts": (
            lambda: model.detect(stpn.encoder(image, prompts), sizes),
            with_prompts,
        ),
    }


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="608x1024")
    parser.add_argument("--frames", default="", help="a video to compare detections on, too")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="leave the export there")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cpu")
    about = facts(device)
    height, width = map(int, ("96x160" if args.quick else args.size).split("x"))
    detector = build()
    folder = args.keep or Path(tempfile.mkdtemp()) / "exported"
    start = time.process_time()
    export(
        detector,
        folder,
        ExportConfig(sizes=((height, width),), tolerance=float("inf")),
        real=at_size(real_frames(args.frames, None)),
    )
    about["export"] = f"{time.process_time() - start:.0f} s of processor time, checks included"
    manifest = read_manifest(folder)
    exported = ExportedModel(folder, manifest, threads=1, providers=["CPUExecutionProvider"])
    rows, samples = [], {}
    worst: dict[str, float] = {}
    for check in manifest.checks:
        worst[check.graph] = max(worst.get(check.graph, 0.0), check.largest)
    for name, (torch_case, onnx_case) in cases(detector.model, exported, 14).items():
        torch_case(), onnx_case()
        rounds = args.rounds or (2 if args.quick else 15)
        taken = interleaved_ms(
            {"torch": torch_case, "onnxruntime": onnx_case}, device, rounds=rounds
        )
        samples[name] = taken
        graph = name.split(",")[0]
        file = f"{graph}-{height}x{width}.onnx"
        rows.append(
            {
                "graph": name,
                "file": f"{manifest.files[file] / 1e6:.2f} MB" if file in manifest.files else None,
                "difference": f"{worst['all together' if graph == 'with prompts' else graph]:.1e}",
                "torch ms": round(median(taken["torch"]), 1),
                "onnxruntime ms": round(median(taken["onnxruntime"]), 1),
                "ratio": f"{median_ratio(taken['onnxruntime'], taken['torch']):.3f}",
            }
        )
    about["shared weights"] = f"{manifest.files['weights.bin'] / 1e6:.1f} MB"
    about["versions"] = ", ".join(f"{k} {v}" for k, v in manifest.made_with.items())
    write_report(
        report_name("export", device, args.quick),
        f"An exported detector, {height}x{width}",
        rows,
        about,
        NOTES,
        {"samples": samples, "checks": [vars(check) for check in manifest.checks]},
        args.out,
    )


if __name__ == "__main__":
    main()
