"""What the benchmarks share: interleaved timing, counting, and a report that names its machine."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

RESULTS = Path(__file__).parent / "results"
Case = Callable[[], Any]


def keep_freed_memory() -> None:
    """Have glibc keep what is freed instead of giving it back to the system.

    Else every large buffer is new pages, and the faults of those, a tenth of a tracked frame's time,
    hit one case more than another by chance. Nothing elsewhere.
    """
    trim_threshold, mmap_threshold, bytes_kept = -1, -3, 2**30
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(trim_threshold, bytes_kept)
    mallopt(mmap_threshold, bytes_kept)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clock(device: torch.device) -> float:
    """Seconds: wall time for a GPU; processor time of this process for a CPU, which a busy machine
    lengthens much less.
    """
    return time.perf_counter() if device.type == "cuda" else time.process_time()


def interleaved_ms(
    cases: Mapping[str, Case], device: torch.device, *, rounds: int, calls: int = 1
) -> dict[str, list[float]]:
    """Milliseconds (see `clock`) per call of each case, one sample of `calls` calls per round.

    Every round runs all cases, each time beginning with another one, so that a machine that slows
    down or speeds up does so for all of them. Warm up before.
    """
    names = list(cases)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            synchronize(device)
            start = clock(device)
            for _ in range(calls):
                cases[name]()
            synchronize(device)
            samples[name].append((clock(device) - start) / calls * 1e3)
    return samples


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def median_ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Median over rounds of value / base: noise that a round shares drops out."""
    return statistics.median(v / b for v, b in zip(values, base, strict=True))


def multiply_adds(case: Case) -> int:
    """Counted multiply-adds of matrix products, convolutions and attention in one call."""
    with FlopCounterMode(display=False) as counter:
        case()
    return counter.get_total_flops() // 2


def peak_mib(case: Case, device: torch.device) -> int | None:
    """Peak memory of one call above what was held before it, in MiB; None where unknown.

    On CUDA as the allocator counts it; on Linux CPUs the peak of the resident set.
    """
    if device.type == "cuda":
        synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        case()
        synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before) >> 20
    try:
        # What earlier calls freed must go back to the system, and the recorded peak be reset.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status_kib("VmRSS")
        case()
        return (_status_kib("VmHWM") - before) >> 10
    except (OSError, AttributeError):
        return None


def _status_kib(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise OSError(f"no {field} in /proc/self/status")
    return int(found[1])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def facts(device: torch.device) -> dict[str, Any]:
    """Machine, versions, date and command of this run."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "float32_matmul": torch.get_float32_matmul_precision(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "timm", "stpn-core")},
        "commit": commit.stdout.strip() or None,
        "date": date.today().isoformat(),
        "command": shlex.join(["python", *sys.argv]),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table; columns are the keys of the first row."""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for row in rows:
        cells = ("–" if row[c] is None else str(row[c]) for c in columns)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_report(
    name: str,
    title: str,
    rows: Sequence[Mapping[str, Any]],
    about: Mapping[str, Any],
    notes: str,
    data: Mapping[str, Any],
    out: Path,
) -> Path:
    """Write NAME.md for people and NAME.json, with every sample, for programs."""
    out.mkdir(parents=True, exist_ok=True)
    known = "\n".join(f"- {key}: {value}" for key, value in about.items())
    text = f"# {title}\n\n{table(rows)}\n\n{notes}\n\n{known}\n"
    (out / f"{name}.json").write_text(
        json.dumps({"about": dict(about), "rows": list(rows), **data}, indent=1) + "\n"
    )
    path = out / f"{name}.md"
    path.write_text(text)
    print(text)
    return path


def report_name(benchmark: str, device: torch.device, quick: bool) -> str:
    """Such as "encoder-nvidia-h200" or "encoder-cpu-quick"."""
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    slug = re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    return f"{benchmark}-{slug}" + "-quick" * quick
