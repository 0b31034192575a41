"""Numbers by how badly frames are degraded, for data that says so (`stpn data synthesize`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stpn_data.errors import DataError
from stpn_data.synthesize.record import FILE, SEVERITY_BINS, read_record, severity_bin
from stpn_vot.metrics.got10k import Got10k, Tracked, got10k


def severities(root: str | Path, lengths: Mapping[str, int]) -> dict[str, list[float]]:
    """Severity of every frame of each sequence. lengths: frames by name of the sequence.

    root: the data set, or the folder of its split. Raises DataError if it does not record them.
    """
    root = Path(root)
    records = read_record(root if (root / FILE).is_file() else root.parent)
    known = {video.name.split("/", 1)[1]: video.severity for video in records}
    for name, length in lengths.items():
        if len(known.get(name, ())) != length:
            raise DataError(
                f"{root}: severity is recorded for {len(known.get(name, ()))} frames of {name}, "
                f"not for its {length}"
            )
    return {name: known[name] for name in lengths}


def got10k_by_severity(
    sequences: Mapping[str, Tracked], severity: Mapping[str, Sequence[float]]
) -> dict[str, Got10k]:
    """Numbers over the frames of each bin alone; bins in which no frame counts are left out."""
    numbers = {}
    for name in SEVERITY_BINS:
        chosen = {
            key: dataclasses.replace(
                one, cover=one.cover * _inside(severity[key], name), times=None
            )
            for key, one in sequences.items()
        }
        row = got10k(chosen)
        if row.frames:
            numbers[name] = row
    return numbers


def _inside(severity: Sequence[float], name: str) -> np.ndarray:
    return np.array([float(severity_bin(value) == name) for value in severity])
