"""`stpn vis eval`: from weights and data to a table."""

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
from stpn_vis.arguments import EvalArguments
from stpn_vis.config_checks import check_eval
from stpn_vis.evaluate import segment_all
from stpn_vis.ground_truth import ground_truth
from stpn_vis.model_file import TrainedSegmenter, load_trained
from stpn_vis.severity import ap_by_severity, severities
from stpn_vis.start import open_videos
from stpn_vis.video_ap import video_ap

SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10")
OCCLUSION = ("APso", "APmo", "APho")


def run(arguments: EvalArguments) -> int:
    """Evaluate, print a table, and write JSON if asked. All ranks of torchrun take part."""
    check_eval(arguments.eval)
    degrade = parse_condition(arguments.degrade)
    if arguments.out is not None and not arguments.out.parent.is_dir():
        raise InputError(f"--out {arguments.out}: there is no folder {arguments.out.parent}")
    world = init_distributed(requested_device(arguments.device), arguments.timeout)
    segmenter = load_trained(arguments.weights, world.device)
    index = open_videos(arguments.data, arguments.split, arguments.format)
    check_classes(segmenter, index)
    truth = ground_truth(index)
    severity = severities(index, arguments.data) if arguments.by_severity else None
    found = segment_all(
        segmenter.model,
        index,
        arguments.eval,
        world,
        precision=arguments.precision,
        degrade=degrade,
    )
    if world.is_main:
        result = video_ap(truth, found)
        names = dict(zip(sorted(index.masks.category_ids), index.classes, strict=True))  # type: ignore[union-attr]
        report: dict[str, Any] = {
            "weights": str(segmenter.source),
            "data": index.source,
            "videos": index.num_videos,
            "frames": index.num_frames,
            "eval": dataclasses.asdict(arguments.eval),
            "degrade": arguments.degrade,
            "all": result.numbers,
            "AP by class": {names[k]: value for k, value in result.per_category().items()},
        }
        rows = {"all frames": result.numbers}
        if severity is not None:
            by_id = dict(zip(map(int, index.masks.video_ids), severity, strict=True))  # type: ignore[union-attr]
            report["by_severity"] = ap_by_severity(truth, found, by_id)
            rows |= report["by_severity"]
        print(f"{segmenter.source} on {index.source}, {index.num_videos} videos\n")
        print(table(rows))
        if arguments.out is not None:
            replace_file(arguments.out, (json.dumps(report, indent=2) + "\n").encode())
    with contextlib.suppress(RuntimeError):
        shut_down()
    return 0


def check_classes(segmenter: TrainedSegmenter, index: VideoIndex) -> None:
    """Raise InputError unless the segmenter's classes are those of the data, in the same order."""
    if len(segmenter.classes) != len(index.classes):
        raise InputError(
            f"{segmenter.source} knows {len(segmenter.classes)} classes, "
            f"{index.source} has {len(index.classes)}"
        )
    named = not segmenter.classes[0].startswith("class ")
    if named and segmenter.classes != index.classes:
        pair = next((a, b) for a, b in zip(segmenter.classes, index.classes, strict=True) if a != b)
        raise InputError(
            f"classes differ: where {segmenter.source} says {pair[0]!r}, {index.source} says "
            f"{pair[1]!r}; evaluate on data with the same classes in the same order"
        )


def table(rows: dict[str, dict[str, float]]) -> str:
    """Percentages as text; a dash where nothing is annotated."""
    width = max(map(len, rows))
    columns = SUMMARY + tuple(n for n in OCCLUSION if any(n in row for row in rows.values()))
    lines = [" " * width + "".join(f"{name:>8}" for name in columns)]
    for name, values in rows.items():
        cells = (_cell(values.get(column, -1)) for column in columns)
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)


def _cell(value: float) -> str:
    return f"{100 * value:8.1f}" if value >= 0 else f"{'-':>8}"
