"""`stpn vod eval`: the numbers of a detector on a data set, in a table."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

from stpn_core.errors import InputError
from stpn_core.runs import replace_file
from stpn_core.training import init_distributed, requested_device, shut_down
from stpn_data.degrade import parse_condition
from stpn_data.index import VideoIndex
from stpn_data.readers import open_dataset
from stpn_vod.arguments import EvalArguments
from stpn_vod.coco_ap import coco_ap
from stpn_vod.config_checks import check_eval
from stpn_vod.evaluate import detect_all, frames_to_test
from stpn_vod.model_file import TrainedDetector, load_trained
from stpn_vod.severity import ap_by_severity, severities
from stpn_vod.vid_ap import ap50, ap50_record, ap50_table, vid_truth

SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")


def run(arguments: EvalArguments) -> int:
    """Evaluate, print a table, and write JSON if asked. All ranks of torchrun take part."""
    check_eval(arguments.eval)
    degrade = parse_condition(arguments.degrade)
    if arguments.out is not None and not arguments.out.parent.is_dir():
        raise InputError(f"--out {arguments.out}: there is no folder {arguments.out.parent}")
    world = init_distributed(requested_device(arguments.device), arguments.timeout)
    detector = load_trained(arguments.weights, world.device)
    index = open_dataset(arguments.data, arguments.split, format=arguments.format)
    check_classes(detector, index)
    severity = severities(index) if arguments.by_severity else None
    truth = vid_truth(index, frames_to_test(index, arguments.eval.every))
    found = detect_all(
        detector.model,
        index,
        arguments.eval,
        world,
        precision=arguments.precision,
        degrade=degrade,
    )
    if world.is_main:
        report: dict[str, Any] = {
            "weights": str(detector.source),
            "data": index.source,
            "frames": len(truth.frames),
            "eval": dataclasses.asdict(arguments.eval),
            "degrade": arguments.degrade,
            "all": dict(coco_ap(truth.boxes, found, index.classes)),
        }
        metrics = ap50(truth, found, index.classes, report["all"]["AP50"])
        report["ap50"] = ap50_record(metrics)
        rows = {"all frames": report["all"]}
        if severity is not None:
            report["by_severity"] = ap_by_severity(index, found, severity, arguments.eval.every)
            rows |= report["by_severity"]
        print(f"{detector.source} on {index.source}")
        print(table(rows), ap50_table(metrics), sep="\n\n")
        if truth.motion is None:
            print("no slow, medium and fast: they need a track for every annotated box")
        if arguments.out is not None:
            replace_file(arguments.out, (json.dumps(report, indent=2) + "\n").encode())
    with contextlib.suppress(RuntimeError):
        shut_down()
    return 0


def check_classes(detector: TrainedDetector, index: VideoIndex) -> None:
    """Raise InputError unless the detector's classes are those of the data, in the same order."""
    if len(detector.classes) != len(index.classes):
        raise InputError(
            f"{detector.source} detects {len(detector.classes)} classes, "
            f"{index.source} has {len(index.classes)}"
        )
    named = not detector.classes[0].startswith("class ")
    if named and detector.classes != index.classes:
        pair = next((a, b) for a, b in zip(detector.classes, index.classes, strict=True) if a != b)
        raise InputError(
            f"classes differ: where {detector.source} says {pair[0]!r}, {index.source} says "
            f"{pair[1]!r}; evaluate on data with the same classes in the same order"
        )


def table(rows: dict[str, dict[str, float]]) -> str:
    """Percentages as text; a dash where nothing is annotated."""
    width = max(map(len, rows))
    lines = [" " * width + "".join(f"{name:>8}" for name in SUMMARY)]
    for name, values in rows.items():
        cells = (
            f"{100 * values[key]:8.1f}" if values[key] >= 0 else f"{'-':>8}" for key in SUMMARY
        )
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)
