"""`stpn vot eval`: from result files, or from weights, to a table."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stpn_core.errors import InputError
from stpn_core.runs import replace_file
from stpn_vot.arguments import EvalArguments
from stpn_vot.eval_table import got10k_table, one_pass_table, severity_table
from stpn_vot.metrics.got10k import Got10k, Tracked, got10k
from stpn_vot.metrics.ground_truth import GroundTruth, read_ground_truth
from stpn_vot.metrics.one_pass import CONVENTIONS, OnePass, one_pass
from stpn_vot.metrics.result_files import read_results
from stpn_vot.protocol import Protocol, common_protocol, stated
from stpn_vot.result_record import read_record
from stpn_vot.still_box import STILL, still_boxes


def run(arguments: EvalArguments) -> int:
    """Track if weights are given, evaluate, print tables, and write JSON and plots if asked."""
    _check(arguments)
    if arguments.weights is not None:
        from stpn_vot.eval_tracking import track_to_files

        code = track_to_files(arguments)
        if code is not None:
            return code
    names = _names(arguments.results)
    protocols = {name: _protocol(folder, arguments) for name, folder in names.items()}
    protocol = common_protocol(protocols)
    truth = read_ground_truth(arguments.data, arguments.split)
    if not truth.measurable:
        return _unmeasurable(truth, arguments)
    trackers = {name: read_results(folder, truth) for name, folder in names.items()}
    measured = {name: _measure(rows, truth, arguments) for name, rows in trackers.items()}
    measured[STILL] = _measure(still_boxes(truth), truth, arguments)
    print(f"{truth.source}, {len(truth.sequences)} sequences; protocol {protocol}\n")
    _print(measured, arguments)
    if arguments.plots is not None:
        _plot(measured, arguments.plots)
    if arguments.out is not None:
        report = {
            "data": truth.source,
            "split": arguments.split,
            "protocol": protocol,
            "trackers": {
                name: {"results": str(names.get(name, ""))} | _plain(row)
                for name, row in measured.items()
            },
        }
        replace_file(arguments.out, (json.dumps(report, indent=2) + "\n").encode())
    return 0


@dataclass(frozen=True, eq=False)
class Measured:
    """One tracker's numbers; None or nothing for what was not asked for. one_pass: by name of the
    convention. by_severity: by bin. classes, sequences: of each alone."""

    got10k: Got10k | None
    one_pass: Mapping[str, OnePass]
    by_severity: Mapping[str, Got10k]
    classes: Mapping[str, Measured]
    sequences: Mapping[str, Measured]


def _check(arguments: EvalArguments) -> None:
    if not arguments.results:
        raise InputError("name the folder of results, RESULTS")
    if arguments.weights is not None and len(arguments.results) > 1:
        raise InputError("with --weights name one folder of results, which the tracker fills")
    if arguments.weights is None:
        given = {"--int-boxes": arguments.int_boxes, "--degrade": bool(arguments.degrade)}
        if wrong := [name for name, value in given.items() if value]:
            raise InputError(f"{wrong[0]} is for tracking, with --weights; these results are there")
    if arguments.out is not None and not arguments.out.parent.is_dir():
        raise InputError(f"--out {arguments.out}: there is no folder {arguments.out.parent}")
    if arguments.by_severity:  # before hours of tracking
        from stpn_vot.severity import severities

        severities(arguments.data, {})


def _unmeasurable(truth: GroundTruth, arguments: EvalArguments) -> int:
    said = (
        f"{truth.source} has no public labels after the given boxes, so it is measured by the "
        "benchmark's server (for GOT-10k: stpn vot submit)"
    )
    if arguments.weights is None:
        raise InputError(f"{said}; evaluate on a split with labels, such as val")
    print(f"{arguments.results[0]}: tracked. {said}")
    return 0


def _names(folders: tuple[Path, ...]) -> dict[str, Path]:
    """Trackers by the name of their folder; by the whole path where two bear the same."""
    short = [folder.resolve().name for folder in folders]
    unique = len(set(short)) == len(short)
    return dict(zip(short if unique else map(str, folders), folders, strict=True))


def _protocol(folder: Path, arguments: EvalArguments) -> Protocol:
    record = read_record(folder)
    return stated("unknown" if record is None else record.protocol, arguments.protocol, str(folder))


def _measure(rows: Mapping[str, Tracked], truth: GroundTruth, arguments: EvalArguments) -> Measured:
    usual = "otb" if truth.layout in ("otb", "lasot") else "got10k"
    metric = usual if arguments.metric == "auto" else arguments.metric
    severity: Mapping[str, Got10k] = {}
    if arguments.by_severity:
        from stpn_vot.severity import got10k_by_severity, severities

        lengths = {name: len(one.truth) for name, one in rows.items()}
        severity = got10k_by_severity(rows, severities(arguments.data, lengths))
    whole = _numbers(rows, truth, metric)
    groups: dict[str, dict[str, Tracked]] = {}
    for name, one in rows.items():
        groups.setdefault(one.object_class or name, {})[name] = one
    classes, each = {}, {}
    if arguments.classes:
        classes = {name: _numbers(own, truth, metric) for name, own in sorted(groups.items())}
    if arguments.sequences:
        each = {name: _numbers({name: one}, truth, metric) for name, one in rows.items()}
    return dataclasses.replace(whole, by_severity=severity, classes=classes, sequences=each)


def _numbers(rows: Mapping[str, Tracked], truth: GroundTruth, metric: str) -> Measured:
    passes = {}
    if metric in ("otb", "all"):
        passes = {c.name: one_pass(rows, c, visibility=truth.visibility) for c in CONVENTIONS}
    return Measured(got10k(rows) if metric in ("got10k", "all") else None, passes, {}, {}, {})


def _print(measured: Mapping[str, Measured], arguments: EvalArguments) -> None:
    _print_rows(measured)
    by_severity = {name: row.by_severity for name, row in measured.items() if row.by_severity}
    if by_severity:
        print(f"AO by severity\n{severity_table(by_severity)}\n")
    for name, row in measured.items():
        for what, rows in (("object class", row.classes), ("sequence", row.sequences)):
            if rows and name != STILL:
                print(f"{name}, each {what}")
                _print_rows(rows)
    if any(row.got10k for row in measured.values()):
        print(
            "mAO, mSR0.5: means over object classes. FPS as the toolkit reports it, the mean of "
            "1 / seconds; frames over seconds beside it."
        )


def _print_rows(rows: Mapping[str, Measured]) -> None:
    found = {name: row.got10k for name, row in rows.items() if row.got10k is not None}
    if found:
        print(got10k_table(found) + "\n")
    for convention in CONVENTIONS:
        passes = {n: r.one_pass[convention.name] for n, r in rows.items() if r.one_pass}
        if passes:
            print(one_pass_table(passes, convention) + "\n")


def _plot(measured: Mapping[str, Measured], folder: Path) -> None:
    from stpn_vot.eval_plots import one_pass_plot, success_plot

    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True)
    found = {name: row.got10k for name, row in measured.items() if row.got10k is not None}
    if found:
        replace_file(folder / "success.png", success_plot(found, STILL))
    for convention in CONVENTIONS:
        passes = {n: r.one_pass[convention.name] for n, r in measured.items() if r.one_pass}
        if passes:
            picture = one_pass_plot(passes, convention, STILL)
            replace_file(folder / f"one_pass_{convention.name}.png", picture)
    print(f"curves -> {folder}")


def _plain(value: Any) -> Any:
    """As JSON has it: lists, and null for NaN."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
