"""Every AP50 in one table and one record, each with the published numbers it may be held against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.motion import SPEEDS
from stpn_vod.vid_ap.fgfa import ANY_AREA, AREAS, fgfa_ap
from stpn_vod.vid_ap.mega import mega_ap, vfe_ap
from stpn_vod.vid_ap.metric import Lineage, Metric
from stpn_vod.vid_ap.truth import VidTruth

COCO = Lineage(
    "COCO",
    "pycocotools: IoU >= 0.5 of x2 - x1 by y2 - y1 boxes, 101-point AP",
    "mmtracking (SELSA, FGFA, DFF, TRoIAlign), the TransVOD family, Table 2 of the STPN paper",
    (
        "sides are x2 - x1: corner pixels are not counted",
        "precision is sampled at 101 recalls",
        "at most 100 detections of a class in a frame",
        "no speed groups are defined",
    ),
)
_COLUMNS = ("AP50", *(f"AP50/{speed.name}" for speed in SPEEDS))


def ap50(truth: VidTruth, found: FrameBoxes, classes: Sequence[str], coco: float) -> list[Metric]:
    """AP50 by every definition. coco: the AP50 that `stpn_vod.coco_ap` gives of the same rows."""
    return [
        Metric("AP50", coco, COCO),
        *mega_ap(truth, found, classes),
        *vfe_ap(truth, found, classes),
        *fgfa_ap(truth, found, classes, areas=(ANY_AREA, *AREAS)),
    ]


def ap50_table(metrics: Iterable[Metric]) -> str:
    """A row for each lineage: percentages for all, slow, medium and fast, a dash for none."""
    rows = _by_lineage(metrics)
    heads = ("all", *(speed.name for speed in SPEEDS))
    lines = ["AP50 " + "".join(f"{head:>8}" for head in heads) + "  comparable with"]
    for lineage, values in rows:
        cells = (values.get(column, -1.0) for column in _COLUMNS)
        numbers = "".join(f"{100 * v:8.1f}" if v >= 0 else f"{'-':>8}" for v in cells)
        lines.append(f"{lineage.name:<5}{numbers}  {lineage.comparable_with}")
    return "\n".join(lines)


def ap50_record(metrics: Iterable[Metric]) -> dict[str, dict[str, Any]]:
    """For JSON: by name of the lineage its definition, what it compares with, quirks and values."""
    return {
        lineage.name: {
            "definition": lineage.definition,
            "comparable_with": lineage.comparable_with,
            "quirks": list(lineage.quirks),
            "values": values,
        }
        for lineage, values in _by_lineage(metrics)
    }


def _by_lineage(metrics: Iterable[Metric]) -> list[tuple[Lineage, dict[str, float]]]:
    rows: dict[str, tuple[Lineage, dict[str, float]]] = {}
    for metric in metrics:
        rows.setdefault(metric.lineage.name, (metric.lineage, {}))[1][metric.name] = metric.value
    return list(rows.values())
