"""The zip that GOT-10k's server takes: checked before it is written, whole or not at all.

    GOT-10k_Test_000001/GOT-10k_Test_000001_001.txt     x,y,w,h per frame, the given box first
                        GOT-10k_Test_000001_time.txt    seconds per frame, a column per repetition
    … to GOT-10k_Test_000180

The server takes hours and says little about what it does not like, so that all of it is said here.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from stpn_core.errors import InputError, StpnError
from stpn_vot.metrics.overlap import Array
from stpn_vot.result_record import FILE as RECORD

SEQUENCES = tuple(f"GOT-10k_Test_{number:06d}" for number in range(1, 181))
REPETITIONS = 3  # the server's most
_MOST_FAULTS = 50
_MOST_BYTES = 16 * 1024 * 1024  # of one file; real ones have some kilobytes
_DIGITS = 2e-3  # results have three decimals, an index 32-bit numbers


@dataclass(frozen=True)
class Expected:
    """What the data says of each test sequence: its number of frames and its given box."""

    frames: Mapping[str, int] = field(default_factory=dict)
    boxes: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """faults: what the server would refuse or misread. warnings: what costs something."""

    faults: tuple[str, ...]
    warnings: tuple[str, ...]


def expected_of(data: str | Path) -> Expected:
    """From a folder with GOT-10k's test split. Raises DataError if it cannot be read."""
    from stpn_data.readers import open_dataset
    from stpn_vot.targets import target_of

    index = open_dataset(data, "test")
    targets = [target_of(index, video) for video in range(index.num_videos)]
    return Expected(
        {target.name: len(target.frames) for target in targets},
        {target.name: target.box for target in targets},
    )


def read_files(path: str | Path) -> dict[str, str]:
    """Texts by name in the zip, from a folder of results or from such a zip.

    Raises InputError if it cannot be read, or holds a file that is far too large.
    """
    path = Path(path)
    try:
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.is_file())
            sizes = {file.relative_to(path).as_posix(): file.stat().st_size for file in found}
            _check_sizes(path, sizes)
            texts = {n: (path / n).read_bytes() for n in sizes if n != RECORD}
        else:
            with zipfile.ZipFile(path) as packed:
                _check_sizes(path, {one.filename: one.file_size for one in packed.infolist()})
                names = [one.filename for one in packed.infolist() if not one.is_dir()]
                texts = {name: packed.read(name) for name in names}
        return {name: text.decode("utf-8") for name, text in texts.items()}
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read as results: {error}") from error


def check_files(files: Mapping[str, str], expected: Expected | None = None) -> Checked:
    """Everything that is wrong with the files of a submission, in words; the first fifty faults.

    expected: frame numbers and given boxes; without them only files are compared with each other.
    """
    expected = expected or Expected()
    owners: dict[str, dict[str, str]] = {}
    faults: list[str] = []
    for name, text in files.items():
        place = PurePosixPath(name)
        if len(place.parts) == 2 and re.fullmatch(r"GOT-10k_(Val|Train)_\d{6}", place.parts[0]):
            continue
        if len(place.parts) != 2 or place.parts[0] not in SEQUENCES:
            faults.append(f"{name}: belongs to no test sequence")
        else:
            owners.setdefault(place.parts[0], {})[place.name] = text
    faults += _foreign(files)
    missing = [name for name in SEQUENCES if name not in owners]
    if missing:
        few = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        faults.append(f"{len(missing)} of {len(SEQUENCES)} sequences are missing: {few}")
    whole, counts = [], set()
    for name, own in owners.items():
        found, repetitions, is_whole = _sequence_faults(name, own, expected)
        faults += [f"{name}: {fault}" for fault in found]
        counts.add(repetitions)
        whole.append(is_whole)
    warnings = []
    if len(counts) > 1:
        faults.append(f"sequences differ in their number of repetitions: {sorted(counts)}")
    if whole and all(whole):
        warnings.append(
            "all boxes are whole pixels; cutting them down costs up to 6 % overlap on small targets"
        )
    if len(faults) > _MOST_FAULTS:
        rest = len(faults) - _MOST_FAULTS
        faults = [*faults[:_MOST_FAULTS], f"{rest} further faults are not listed"]
    return Checked(tuple(faults), tuple(warnings))


def write_submission(path: str | Path, files: Mapping[str, str]) -> None:
    """Write the zip: same files, same bytes. It appears whole under its name or not at all.

    Numbers stay as written, separated by commas. Raises InputError for another ending or a folder
    that is not there, StpnError if it cannot be written.
    """
    path = Path(path)
    if path.suffix != ".zip" or not path.parent.is_dir():
        raise InputError(f"--out {path}: name a .zip in a folder that is there")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
                for name in sorted(files):
                    about = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                    about.compress_type = zipfile.ZIP_DEFLATED
                    about.external_attr = 0o644 << 16
                    rows = (",".join(_parts(line)) for line in files[name].splitlines())
                    packed.writestr(about, "".join(f"{row}\n" for row in rows if row))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise StpnError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _foreign(files: Mapping[str, str]) -> list[str]:
    """Results of other splits, which the server would take for nothing or for a mistake."""
    found = sorted({name.split("/")[0] for name in files if re.match("GOT-10k_(Val|Train)_", name)})
    if not found:
        return []
    return [
        f"{len(found)} sequences of another split are among them, such as {found[0]}: keep the results "
        "of each split in a folder of its own"
    ]


def _sequence_faults(
    name: str, own: Mapping[str, str], expected: Expected
) -> tuple[list[str], int, bool]:
    """Faults of one sequence, its number of repetitions, and whether all boxes are whole."""
    boxes_of = {n: text for n, text in own.items() if re.fullmatch(rf"{name}_\d\d\d\.txt", n)}
    time_name = f"{name}_time.txt"
    faults = [f"{n}: no file the server knows" for n in own if n not in (*boxes_of, time_name)]
    wanted = [f"{name}_{number:03d}.txt" for number in range(1, len(boxes_of) + 1)]
    if not boxes_of or sorted(boxes_of) != wanted:
        faults.append(f"needs {name}_001.txt, then _002 and so on, not {sorted(boxes_of)}")
    if len(boxes_of) > REPETITIONS:
        faults.append(f"{len(boxes_of)} repetitions, the server takes {REPETITIONS}")
    lengths, whole = set(), True
    for file, text in sorted(boxes_of.items()):
        rows, fault = _rows(file, text, 4)
        if fault:
            faults.append(fault)
            continue
        lengths.add(len(rows))
        whole = whole and bool((rows == np.trunc(rows)).all())
        faults += [f"{file}: {fault}" for fault in _box_faults(rows, name, expected)]
    if len(lengths) > 1:
        faults.append(f"repetitions differ in their number of boxes: {sorted(lengths)}")
    if time_name not in own:
        faults.append(f"needs {time_name}: seconds per frame")
        return faults, len(boxes_of), whole
    times, fault = _rows(time_name, own[time_name], max(1, len(boxes_of)))
    if fault:
        faults.append(fault)
    elif lengths and len(times) not in lengths:
        faults.append(f"{time_name}: {len(times)} rows for {min(lengths)} boxes")
    elif not (np.isfinite(times).all() and (times >= 0).all()):
        faults.append(f"{time_name}: seconds must be finite and not below 0")
    return faults, len(boxes_of), whole


def _box_faults(rows: Array, name: str, expected: Expected) -> list[str]:
    faults = []
    frames = expected.frames.get(name)
    if frames is not None and len(rows) != frames:
        faults.append(f"{len(rows)} boxes for {frames} frames")
    if not len(rows):
        return [*faults, "holds no box"]
    strange = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(strange):
        faults.append(f"line {strange[0] + 1}: not finite")
    flat = np.flatnonzero((rows[:, 2:] <= 0).any(axis=1))
    if len(flat):
        faults.append(f"line {flat[0] + 1}: width and height must be greater than 0")
    given = expected.boxes.get(name)
    if given is not None:
        close = 1.0 if (rows == np.trunc(rows)).all() else _DIGITS
        if not (np.abs(rows[0] - np.array(given)) <= close).all():
            said = ",".join(f"{value:g}" for value in given)
            faults.append(f"line 1 must be the given box {said}")
    return faults


def _rows(file: str, text: str, columns: int) -> tuple[Array, str]:
    """Numbers of a file, and what is wrong with them."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = _parts(line)
        if not parts:
            continue
        try:
            rows.append([float(part) for part in parts])
        except ValueError:
            return np.zeros(
                (0, columns)
            ), f"{file}, line {number}: {line[:40]!r} is no row of numbers"
        if len(parts) != columns:
            fault = f"{file}, line {number}: {len(parts)} numbers instead of {columns}"
            return np.zeros((0, columns)), fault
    return np.array(rows, float).reshape(-1, columns), ""


def _parts(line: str) -> list[str]:
    return [part for part in re.split(r"[,\s]+", line.strip()) if part]


def _check_sizes(path: Path, sizes: Mapping[str, int]) -> None:
    large = next((name for name, size in sizes.items() if size > _MOST_BYTES), None)
    if large is not None or len(sizes) > 20 * len(SEQUENCES):
        what = f"{large} has {sizes[large]:,} bytes" if large else f"{len(sizes):,} files"
        raise InputError(f"{path}: {what}: no results of a tracker")
