"""`stpn vot eval`: from result files to a table."""

from __future__ import annotations

import dataclasses
import json
import math

from stpn_core.errors import InputError
from stpn_core.runs import replace_file
from stpn_vot.arguments import EvalArguments
from stpn_vot.metrics.got10k import Got10k, got10k
from stpn_vot.metrics.got10k_files import read_got10k_results


def run(arguments: EvalArguments) -> int:
    """Evaluate, print a table, and write JSON if asked."""
    if arguments.out is not None and not arguments.out.parent.is_dir():
        raise InputError(f"--out {arguments.out}: there is no folder {arguments.out.parent}")
    tracked = read_got10k_results(arguments.results, arguments.data / arguments.split)
    whole = got10k(tracked)
    rows = {"all frames": whole}
    if arguments.sequences:
        rows |= {name: got10k({name: one}) for name, one in tracked.items()}
    print(f"{arguments.results} on {arguments.data / arguments.split}, {len(tracked)} sequences\n")
    print(table(rows))
    print(
        f"\nMean over object classes: AO {100 * whole.mean_class_ao:.1f}, "
        f"SR0.5 {100 * whole.mean_class_sr50:.1f}. FPS as the toolkit reports it, the mean of "
        "1 / seconds; frames over seconds beside it."
    )
    if arguments.out is not None:
        report = {name: _plain(row) for name, row in rows.items()}
        replace_file(arguments.out, (json.dumps(report, indent=2) + "\n").encode())
    return 0


def table(rows: dict[str, Got10k]) -> str:
    """Percentages as text; a dash where no frame counts."""
    width = max(map(len, rows))
    names = ("AO", "SR0.5", "SR0.75", "FPS", "frames/s", "frames")
    lines = [" " * width + "".join(f"{name:>9}" for name in names)]
    for name, row in rows.items():
        shares = (100 * row.ao, 100 * row.sr50, 100 * row.sr75, row.fps, row.frames_per_second)
        cells = "".join(
            f"{value:9.1f}" if math.isfinite(value) else f"{'-':>9}" for value in shares
        )
        lines.append(f"{name:<{width}}{cells}{row.frames:9d}")
    return "\n".join(lines)


def _plain(row: Got10k) -> dict[str, object]:
    values = dataclasses.asdict(row) | {"curve": row.curve.tolist()}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
