"""Bare pickles: arrays and tensors of any protocol are read, and nothing else."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3, 4, 5])


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pkl"


ARRAYS = {
    "plain": np.arange(12, dtype=np.float32).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(24, dtype=np.float64).reshape(2, 3, 4)),
    "strided": np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
    "half": np.arange(3, dtype=np.float16),
    "number": np.array(2.5, dtype=np.float32),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "long": np.array([-1, 2**40]),
    "bytes": np.arange(256, dtype=np.uint8),
    "truth": np.array([True, False]),
}


@PROTOCOLS
def test_arrays(path, protocol):
    content = {"model": ARRAYS, "__author__": "someone", "matching_heuristics": True}
    path.write_bytes(pickle.dumps(content, protocol))
    found = read_checkpoint(path)
    assert found.state.keys() == ARRAYS.keys()
    for key, array in ARRAYS.items():
        expected = torch.from_numpy(np.ascontiguousarray(array)).view(array.shape)
        assert torch.equal(found.state[key], expected), key
        assert found.state[key].dtype == expected.dtype
    assert found.metadata["__author__"] == "someone"
    found.state["plain"][0, 0] = 5  # its own memory, which may be written to


@PROTOCOLS
def test_arrays_as_older_numpy_names_them(path, protocol):
    data = pickle.dumps({"w": ARRAYS["plain"], "v": ARRAYS["fortran"]}, protocol)
    data = data.replace(b"numpy._core", b"numpy.core") if protocol < 4 else _renamed(data)
    assert b"numpy._core" not in data
    path.write_bytes(data)
    assert torch.equal(read_checkpoint(path).state["w"], torch.arange(12.0).view(3, 4))


def _renamed(data: bytes) -> bytes:
    """Short texts have their length in front, and the whole is framed."""
    head, _, body = data.partition(b"\x95")
    body = body[8:]
    for part in (b"multiarray", b"numeric"):
        new, old = b"numpy.core." + part, b"numpy._core." + part
        body = body.replace(bytes([len(old)]) + old, bytes([len(new)]) + new)
    return head + b"\x95" + struct.pack("<Q", len(body)) + body


@PROTOCOLS
def test_tensors(path, protocol):
    storage = torch.arange(12.0)
    state = OrderedDict(
        whole=storage.view(3, 4),
        part=storage[2:8].view(2, 3).T,
        parameter=torch.nn.Parameter(torch.ones(2)),
        half=torch.ones(3, dtype=torch.bfloat16),
        count=torch.tensor(7),
    )
    path.write_bytes(pickle.dumps({"model": state, "scalar": np.float32(2)}, protocol))
    found = read_checkpoint(path).state
    assert found.keys() == state.keys()
    for key, tensor in state.items():
        assert torch.equal(found[key], tensor), key
        assert found[key].dtype == tensor.dtype


@PROTOCOLS
def test_a_state_dict_of_a_module(path, protocol):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    path.write_bytes(pickle.dumps(module.state_dict(), protocol))
    found = read_checkpoint(path).state
    assert all(torch.equal(found[key], tensor) for key, tensor in module.state_dict().items())


def _storage(data: bytes) -> Any:
    return Call(torch.storage._load_from_bytes, data)


def _legacy(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


CODE: dict[str, Callable[[Path], Any]] = {
    "os.system": lambda m: {"w": ARRAYS["plain"], "x": Call(os.system, f"touch {m}")},
    "builtins.exec": lambda m: {"w": Call(exec, f"open({str(m)!r}, 'w').close()")},
    "as an argument": lambda m: {"w": Call(np.dtype, Call(os.mkdir, str(m)))},
    "inside a storage": lambda m: {"w": _storage(_legacy(Call(os.mkdir, str(m))))},
    "inside a storage's pickle of a pickle": lambda m: {
        "w": _storage(pickle.dumps(Call(os.mkdir, str(m)), 2))
    },
    "numpy's own gadget": lambda m: {
        "w": Call(np.save, str(m), ARRAYS["plain"]),
        "x": ARRAYS["plain"],
    },
}


@PROTOCOLS
@pytest.mark.parametrize("name", CODE)
def test_code_is_never_run(path, tmp_path, name, protocol):
    marker = tmp_path / "ran"
    path.write_bytes(pickle.dumps(CODE[name](marker), protocol))
    with pytest.raises(InputError, match=r"refused, nothing of it was run|cannot be read"):
        read_checkpoint(path)
    assert not list(tmp_path.glob("ran*"))
    with open(path, "rb") as file:
        try:
            pickle.load(file)  # control: the payload works
        except Exception:
            assert name.startswith(("as an argument", "inside"))
    assert name.startswith("inside a storage's") or list(tmp_path.glob("ran*"))


def test_golden_files(shared, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folder = shared / "golden/vis"
    good = read_checkpoint(folder / "G_ckpt_d2.pkl").state
    other = read_checkpoint(folder / "G_ckpt_d2.pth").state
    assert good.keys() == other.keys()
    assert all(torch.equal(good[key], other[key]) for key in good)
    with pytest.raises(InputError, match=r"refused.*posix\.system"):
        read_checkpoint(folder / "G_malicious.pkl")
    assert not list(tmp_path.iterdir())


def _edited(old: bytes, new: bytes, value: Any = None) -> bytes:
    data = pickle.dumps({"w": ARRAYS["plain"]} if value is None else value, 3)
    assert old in data
    return data.replace(old, new)


def _bomb(levels: int) -> bytes:
    """Nested tuples of two: 2^levels when printed, hashed or compared."""
    return b")" + b"q\0h\0\x86" * levels


DATA: dict[str, tuple[bytes, str]] = {
    "big-endian": (_edited(b"X\1\0\0\0<", b"X\1\0\0\0>"), "byte order"),
    "objects": (pickle.dumps({"w": np.array([{}])}, 3), "type 'O8'"),
    "text": (pickle.dumps({"w": np.array(["a"])}, 3), "type 'U1'"),
    "complex": (pickle.dumps({"w": np.ones(2, np.complex64)}, 3), "type 'c8'"),
    "a shape larger than its data": (_edited(b"K\3K\4\x86", b"K\3K\5\x86"), "needs 60 bytes"),
    "a shape of no numbers": (_edited(b"K\3K\4\x86", b"NK\4\x86"), "plausible"),
    "a shape that cannot be printed": (_edited(b"K\3K\4\x86", _bomb(100)), "plausible"),
    "data cut off": (pickle.dumps({"w": ARRAYS["plain"]}, 3)[:-30], "cannot be read"),
    "a length beyond the file": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f", "cannot be read"),
    "a memo of 2^32 entries": (b"\x80\x02}r\xff\xff\xff\xff.", "holds no tensors"),
    "more data after the end": (pickle.dumps({"w": ARRAYS["plain"]}, 3) + b"x", "after the end"),
    "a set": (pickle.dumps({"w": {1}}, 4), "EMPTY_SET"),
    "an object": (pickle.dumps({"w": Path()}, 4), "pathlib"),
    "a tuple as a key": (pickle.dumps({(1, 2): 3}, 4), "key of a dictionary"),
    "a name made of tuples": (b"\x80\x04" + _bomb(100) + b"h\0\x93.", "no text"),
    "endless instructions": (b"\x80\x02" + b"K\0" * 300_000 + b".", "too many instructions"),
    "an array that is never filled": (
        b"\x80\x02}U"
        if False
        else b"\x80\x03}X\1\0\0\0wcnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\nndarray\nK\0\x85C\1b\x87Rs.",
        "never filled",
    ),
    "data elsewhere": (b"\x80\x02X\1\0\0\0aQ.", "outside of itself"),
    "truth values of 7": (
        pickle.dumps({"w": np.array([True, False])}, 3).replace(b"\1\0q", b"\7\0q"),
        "neither 0 nor 1",
    ),
    "a storage with too few numbers": (
        pickle.dumps({"w": torch.arange(40.0)}, 3).replace(
            struct.pack("<q", 40) + struct.pack("<f", 0),
            struct.pack("<q", 41) + struct.pack("<f", 0),
        ),
        "40 numbers",
    ),
    "a view beyond its storage": (
        pickle.dumps({"w": torch.arange(40.0)}, 3).replace(b"K(\x85", b"K)\x85"),
        "reaches element 40",
    ),
}


@pytest.mark.parametrize("name", DATA)
def test_damaged_and_hostile_data(path, name):
    data, reason = DATA[name]
    path.write_bytes(data)
    with pytest.raises(InputError, match=reason) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_nothing_is_imported_or_unpickled(path, monkeypatch):
    path.write_bytes(pickle.dumps(CODE["os.system"](path.with_name("ran")), 4))
    read = pickle.dumps({"w": ARRAYS["plain"], "t": torch.ones(2)}, 4)

    def no(*arguments: object, **options: object) -> None:
        raise AssertionError(f"imported or unpickled: {arguments}")

    other = path.with_name("good.pkl")
    other.write_bytes(read)
    read_checkpoint(other)  # modules that are loaded when first needed
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, no)
    monkeypatch.setattr(torch, "load", no)
    real = builtins.__import__

    def watched(name: str, *rest: Any) -> Any:
        assert name.partition(".")[0] not in ("os", "posix", "subprocess"), name
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", watched)
    with pytest.raises(InputError):
        read_checkpoint(path)
    assert set(read_checkpoint(other).state) == {"w", "t"}
