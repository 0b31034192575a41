"""Tables of `stpn vot eval`, as text: percentages, a dash where nothing was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from stpn_vot.metrics.got10k import Got10k
from stpn_vot.metrics.one_pass import Convention, OnePass


def got10k_table(rows: Mapping[str, Got10k]) -> str:
    """A line for each tracker or sequence; mAO and mSR0.5 are means over object classes."""
    names = ("AO", "SR0.5", "SR0.75", "mAO", "mSR0.5", "FPS", "frames/s", "frames")
    return _table(
        names,
        {
            name: [
                *(100 * v for v in (row.ao, row.sr50, row.sr75)),
                *(100 * v for v in (row.mean_class_ao, row.mean_class_sr50)),
                row.fps,
                row.frames_per_second,
                row.frames,
            ]
            for name, row in rows.items()
        },
    )


def severity_table(rows: Mapping[str, Mapping[str, Got10k]]) -> str:
    """AO of each tracker by severity bin, under the number of frames of each."""
    bins = list(dict.fromkeys(name for row in rows.values() for name in row))
    counts = {name: row[name].frames for row in rows.values() for name in row}
    cells: dict[str, Sequence[float]] = {
        tracker: [100 * row[name].ao if name in row else math.nan for name in bins]
        for tracker, row in rows.items()
    }
    return _table(bins, {**cells, "frames": [counts[name] for name in bins]})


def one_pass_table(rows: Mapping[str, OnePass], convention: Convention) -> str:
    """A line for each tracker or sequence under one convention, whose name is in it."""
    norm = "NP@0.20" if convention.analysis else "mean NP"
    names = (
        "AUC",
        "OP50",
        "OP75",
        "P@20px",
        norm,
        "overlap",
        "mAUC",
        "mP@20px",
        f"m {norm}",
        "FPS",
    )
    table = _table(
        names,
        {
            name: [
                *(100 * v for v in (row.auc, row.op50, row.op75)),
                *(100 * v for v in (row.precision, row.norm_precision, row.overlap)),
                *(100 * v for v in (row.mean_class_auc, row.mean_class_precision)),
                100 * row.mean_class_norm_precision,
                row.fps,
            ]
            for name, row in rows.items()
        },
    )
    return f"convention {convention.name}: {convention.about}\n{table}"


def _table(columns: Sequence[str], rows: Mapping[str, Sequence[float]]) -> str:
    width = max(map(len, rows), default=0)
    widths = [max(9, len(name) + 2) for name in columns]
    lines = [" " * width + "".join(f"{n:>{w}}" for n, w in zip(columns, widths, strict=True))]
    for name, values in rows.items():
        cells = "".join(_cell(v, w) for v, w in zip(values, widths, strict=True))
        lines.append(f"{name:<{width}}{cells}")
    return "\n".join(lines)


def _cell(value: float, width: int) -> str:
    if not math.isfinite(value):
        return f"{'-':>{width}}"
    return f"{value:{width}d}" if isinstance(value, int) else f"{value:{width}.1f}"
