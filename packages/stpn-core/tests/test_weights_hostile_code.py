"""Files that try to run code when they are read: all are refused, and nothing runs.

Each payload is also read carelessly, to show that it would have worked.
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.cli import main

WEIGHT = torch.arange(8, dtype=torch.float32).reshape(2, 4)


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def rezip(path: Path, pickle_bytes: bytes, **records: bytes) -> None:
    """A torch zip file with this pickle and these storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle_bytes)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        for key, data in records.items():
            archive.writestr(f"archive/data/{key.removeprefix('k')}", data)


def touch(marker: Path) -> str:
    return f"touch {marker}"


def write(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


def _torch(make: Callable[[Path], Any], **options: Any) -> Callable[[Path, Path], None]:
    return lambda path, marker: torch.save(make(marker), path, **options)


def _zip(make: Callable[[Path], bytes]) -> Callable[[Path, Path], None]:
    return lambda path, marker: rezip(path, make(marker))


def _raw(make: Callable[[Path], bytes]) -> Callable[[Path, Path], None]:
    return lambda path, marker: path.write_bytes(make(marker)) and None


def _system(marker: Path) -> Call:
    return Call(os.system, touch(marker))


def _pipepager(marker: Path) -> Call:
    import pydoc

    return Call(pydoc.pipepager, "", touch(marker))  # a shell behind an innocent module


def _timeit(marker: Path) -> Call:
    import timeit

    return Call(timeit.timeit, write(marker), "pass", timeit.default_timer, 1)


def _torch_gadget(marker: Path) -> Call:
    from torch.utils import collect_env

    return Call(collect_env.run, touch(marker))  # torch's own namespace is no proof of innocence


class _Partial:
    """functools.partial(os.system, command), called by a second REDUCE."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        import functools

        return functools.partial(os.system, touch(self.marker)), ()


def _getattr_chain(marker: Path) -> bytes:
    """getattr(__import__("os"), "system")(command): no dangerous name to search for."""
    importing = b"c__builtin__\n__import__\n(Vos\ntR"
    system = b"c__builtin__\ngetattr\n(" + importing + b"Vsystem\ntR"
    return b"\x80\x02" + system + f"(V{touch(marker)}\ntR.".encode()


def _legacy(path: Path, marker: Path) -> None:
    torch.save(
        {"state_dict": {"w": WEIGHT, "x": _system(marker)}},
        path,
        _use_new_zipfile_serialization=False,
    )


def _distributed(path: Path, marker: Path) -> None:
    path.mkdir()
    (path / ".metadata").write_bytes(pickle.dumps(_system(marker)))


def _tar(path: Path, marker: Path) -> None:
    data = pickle.dumps(_system(marker), protocol=2)
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("storages")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))


def _hidden_second_pickle(marker: Path) -> bytes:
    good = pickle.dumps({"w": 1}, protocol=2)
    return good[:-1] + b"0" + pickle.dumps(_system(marker), protocol=2)[2:]


CODE: dict[str, Callable[[Path, Path], None]] = {
    "os.system": _torch(_system),
    "os.system nested in meta": _torch(lambda m: {"state_dict": {"w": WEIGHT}, "meta": _system(m)}),
    "os.system as a key": _torch(lambda m: {"state_dict": {"w": WEIGHT}, "o": [(_system(m), 1)]}),
    "os.system after popping good data": _zip(_hidden_second_pickle),
    "builtins.exec": _torch(lambda m: {"w": Call(exec, write(m))}),
    "builtins.eval": _torch(lambda m: {"w": Call(eval, write(m))}),
    "os.mkdir": _torch(lambda m: {"w": Call(os.mkdir, str(m))}),
    "shutil.copy": _torch(lambda m: {"w": Call(shutil.copy, __file__, str(m))}),
    "pathlib.Path.touch": _torch(lambda m: {"w": Call(Path.touch, m)}),
    "subprocess.check_call": _torch(lambda m: Call(subprocess.check_call, ["touch", str(m)])),
    "pydoc.pipepager": _torch(_pipepager),
    "timeit.timeit": _torch(_timeit),
    "torch.utils.collect_env.run": _torch(_torch_gadget),
    "functools.partial": _torch(_Partial),
    "getattr chain": _zip(_getattr_chain),
    "protocol 4, STACK_GLOBAL": _torch(_system, pickle_protocol=4),
    "protocol 5": _torch(_system, pickle_protocol=5),
    "protocol 0 in a zip": _zip(lambda m: pickle.dumps(_system(m), protocol=0)),
    "INST": _zip(lambda m: f"(S'{touch(m)}'\nios\nsystem\n.".encode()),
    "OBJ": _zip(lambda m: f"(cos\nsystem\nS'{touch(m)}'\no.".encode()),
    "bare pickle, protocol 2": _raw(lambda m: pickle.dumps(_system(m), protocol=2)),
    "bare pickle, protocol 5": _raw(lambda m: pickle.dumps(_system(m), protocol=5)),
    "bare pickle, protocol 0": _raw(lambda m: pickle.dumps(_system(m), protocol=0)),
    "torch before 1.6": _legacy,
    "distributed checkpoint": _distributed,
    "tar": _tar,
}


def read_carelessly(path: Path) -> None:
    """What a loader built on pickle does with each kind of file."""
    if path.is_dir():
        pickle.loads((path / ".metadata").read_bytes())
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            pickle.loads(archive.extractfile("storages").read())  # type: ignore[union-attr]
    elif zipfile.is_zipfile(path) or b"protocol_version" in path.read_bytes():
        torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())


@pytest.mark.parametrize("name", CODE)
def test_code_is_never_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # must not matter
    marker, bad, out = tmp_path / "ran", tmp_path / "bad.pth", tmp_path / "out.safetensors"
    CODE[name](bad, marker)
    assert main(["convert", str(bad), str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert str(bad) in captured.err
    assert "Traceback" not in captured.err
    assert not marker.exists()
    assert not out.exists()
    read_carelessly(bad)  # control: the payload works
    assert marker.exists()


def test_there_are_enough_payloads() -> None:
    assert len(CODE) >= 20


def test_torch_default_runs_code_under_that_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: the environment variable does switch torch's own default off."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    CODE["os.system"](tmp_path / "bad.pth", tmp_path / "ran")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.load(tmp_path / "bad.pth")
    assert (tmp_path / "ran").exists()
