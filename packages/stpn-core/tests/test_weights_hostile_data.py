"""Files that waste memory or time, or hold what no weights are: refused, each with its reason.

Where torch itself would take the file, a control shows that.
"""

from __future__ import annotations

import json
import struct
import warnings
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint

WEIGHT = torch.arange(8, dtype=torch.float32).reshape(2, 4)


def rezip(path: Path, pickle_bytes: bytes, **records: bytes) -> None:
    """A torch zip file with this pickle and these storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle_bytes)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
        for key, data in records.items():
            archive.writestr(f"archive/data/{key.removeprefix('k')}", data)


def pickle_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))


def _saved(value: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(value() if callable(value) else value, path)


def _edited(old: bytes, new: bytes) -> Callable[[Path], None]:
    """A good file whose pickle has some bytes replaced."""

    def build(path: Path) -> None:
        torch.save({"w": WEIGHT}, path)
        changed = pickle_of(path).replace(old, new)
        assert changed != pickle_of(path)
        rezip(path, changed, k0=WEIGHT.numpy().tobytes())

    return build


def _pickled(data: bytes) -> Callable[[Path], None]:
    return lambda path: rezip(path, data)


def _deflated(path: Path) -> None:
    torch.save({"w": torch.zeros(1 << 20)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _overlapping(path: Path) -> None:
    """Two members that are the same bytes of the file."""
    rezip(path, b"\x80\x02}.", k0=b"x" * 4096)
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    start = struct.unpack("<I", data[end + 16 : end + 20])[0]
    entry = data.rindex(b"PK\1\2")
    copy = data[entry:end].replace(b"data/0", b"data/1")
    count, size = struct.unpack("<H", data[end + 10 : end + 12])[0] + 1, end - start + len(copy)
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, start, 0)
    path.write_bytes(data[:end] + copy + tail)


def _sparse(path: Path) -> None:
    torch.save({"w": torch.eye(4).to_sparse()}, path)


def _quantized(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": torch.quantize_per_tensor(WEIGHT, 0.1, 0, torch.qint8)}, path)


def _bomb(length: int) -> bytes:
    return (
        b"\x80\x02}q\x00X\x01\x00\x00\x00wc__builtin__\nbytearray\n\x8a\x05"
        + struct.pack("<Q", length)[:5]
        + b"\x85Rs."
    )


def _hash_bomb(depth: int) -> bytes:
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth))
    return b"\x80\x02})" + doubled + b"K\x01s."


def _script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def _second_name(path: Path) -> None:
    rezip(path, b"\x80\x02}.")
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("archive/data.pkl", b"\x80\x02}.")


def _outside(path: Path) -> None:
    rezip(path, b"\x80\x02}.")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../x", "y")


def _safetensors(header: dict[str, Any] | str, data: bytes = b"") -> Callable[[Path], None]:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return lambda path: path.write_bytes(struct.pack("<Q", len(text)) + text + data) and None


def _entry(dtype: str, shape: list[int], end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


NONSENSE: dict[str, tuple[Callable[[Path], None], str]] = {
    "stride 0, 2^33 elements": (_saved({"w": torch.zeros(1).expand(1 << 33)}), "'w'.*claims"),
    "many names for one storage": (
        lambda path: torch.save(dict.fromkeys(map(str, range(500)), torch.zeros(1000)), path),
        "more than the file can hold",
    ),
    "deflated members": (_deflated, "compressed"),
    "overlapping members": (_overlapping, "claim .* bytes"),
    "sparse": (_sparse, "sparse"),
    "sparse CSR": (_saved(lambda: {"w": csr()}), "sparse"),
    "meta": (_saved({"w": torch.empty(4, device="meta")}), "meta"),
    "complex": (_saved({"w": torch.zeros(2, dtype=torch.complex64)}), "complex"),
    "conjugate view": (_saved({"w": torch.zeros(2, dtype=torch.complex64).conj()}), "complex"),
    "quantized": (_quantized, "quantized"),
    "float8": (_saved({"w": torch.zeros(2).to(torch.float8_e4m3fn)}), "refused"),
    "bytearray(10**12)": (_pickled(_bomb(10**12)), "bytearray"),
    "tuples that take years to hash": (_pickled(_hash_bomb(100)), "nests tuples"),
    "tuples deep enough to crash": (_pickled(b"\x80\x02})" + b"\x85" * 10**5 + b"K\1s."), "tuples"),
    "a million empty sets": (_pickled(b"\x80\x02]q\0(" + b"\x8f" * 10**6 + b"e."), "instructions"),
    "storage said to be larger": (_edited(b"K\x08t", b"K\xfft"), "storage '0' should have 1020"),
    "storage that is not there": (_edited(b"\x01\0\0\x000q", b"\x01\0\0\x007q"), "holds none"),
    "size beyond the storage": (_edited(b"K\x02K\x04\x86", b"K\x02K\x64\x86"), "reaches element"),
    "negative offset": (_edited(b"QK\x00", b"QJ\xff\xff\xff\xff"), "tensor of size|unusual form"),
    "more data after the pickle": (_edited(b"s.", b"s.evil."), "after the end"),
    "replaced method": (
        _pickled(b"\x80\x02ccollections\nOrderedDict\n)R}X\5\0\0\0itemsK\1sb."),
        "sets attributes",
    ),
    "torchscript": (_script, "TorchScript"),
    "two members of one name": (_second_name, "same name"),
    "member outside the folder": (
        _outside,
        "outside the folder",
    ),
    "NaN": (_saved({"a": WEIGHT, "w": torch.tensor([1.0, float("nan")])}), "NaN.*'w'"),
    "infinity in half": (_saved({"w": torch.tensor([float("-inf")]).half()}), "infinity.*'w'"),
    "safetensors: a key twice": (
        _safetensors('{"w":%s,"w":%s}' % ((json.dumps(_entry("F32", [1], 4)),) * 2), b"\0" * 4),
        "'w' is there twice",
    ),
    "safetensors: longer than the file": (
        _safetensors({"w": _entry("F32", [1 << 30], 1 << 32)}, b"\0" * 4),
        "cut off",
    ),
    "safetensors: shape and bytes differ": (
        _safetensors({"w": _entry("F32", [3], 4)}, b"\0" * 4),
        "not a valid",
    ),
    "safetensors: a hole": (
        _safetensors({"w": {**_entry("F32", [1], 8), "data_offsets": [4, 8]}}, b"\0" * 8),
        "not a valid",
    ),
    "safetensors: float8": (_safetensors({"w": _entry("F8_E4M3", [1], 1)}, b"\0"), "'w'.*F8_E4M3"),
    "safetensors: deep nesting": (_safetensors('{"a":' * 10**5), "header cannot be read"),
    "safetensors: huge header": (
        lambda path: path.write_bytes(struct.pack("<Q", 1 << 33) + b'{"') and None,
        "header of 8589934592 bytes",
    ),
    "safetensors: header is cut": (
        lambda path: path.write_bytes(struct.pack("<Q", 100) + b'{"w":') and None,
        "cut off",
    ),
    "safetensors: NaN": (
        _safetensors({"w": _entry("F32", [1], 4)}, struct.pack("<f", float("nan"))),
        "NaN",
    ),
}


def csr() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "sparse CSR is in beta"
        return torch.eye(3).to_sparse_csr()


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    build, reason = NONSENSE[name]
    bad = tmp_path / "bad.pth"
    build(bad)
    with pytest.raises(InputError, match=f"(?s){reason}") as caught:
        read_checkpoint(bad)
    assert str(bad) in str(caught.value)
    assert len(str(caught.value)) < 1000


# torch alone, with weights_only=True, takes these without a word
TORCH_TAKES = [
    *("stride 0, 2^33 elements", "deflated members", "meta", "complex", "NaN", "sparse"),
    *("many names for one storage", "replaced method", "more data after the pickle"),
]


@pytest.mark.parametrize("name", TORCH_TAKES)
@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_torch_alone_would_take_it(name: str, tmp_path: Path) -> None:
    """Control: the refusals above are ours; without them the file loads."""
    NONSENSE[name][0](tmp_path / "bad.pth")
    torch.load(tmp_path / "bad.pth", weights_only=True)


def test_bytearray_bomb_would_go_off_in_torch(tmp_path: Path) -> None:
    """Control, with a small bomb: a file of 300 bytes makes torch fill 50 MB."""
    rezip(tmp_path / "bomb.pth", _bomb(50_000_000))
    loaded = torch.load(tmp_path / "bomb.pth", weights_only=True)
    assert len(loaded["w"]) == 50_000_000
    with pytest.raises(InputError, match="bytearray"):
        read_checkpoint(tmp_path / "bomb.pth")


def test_good_files_pass_the_same_checks(tmp_path: Path) -> None:
    """Control: the checks do not refuse everything."""
    state = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)).state_dict()
    assert isinstance(state, OrderedDict)  # with `_metadata`, which pickle writes as an attribute
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}
    everything = {
        "state_dict": state,
        "optimizer": {
            "state": {0: {"step": torch.tensor(1.0), "exp_avg": WEIGHT}},
            "param_groups": [group, {**group, "params": [2]}],
        },
        "schedule": {"milestones": Counter([2, 2, 5])},
        "shape": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "set": {1, 2},
        "nested": {"big": 1 << 60, "floats": [1.5, None, True], "tuples": ((1, 2), (3, (4,)))},
        "parameter": torch.nn.Parameter(WEIGHT),
        "view": WEIGHT.t()[1:, 1:],
    }
    torch.save(everything, tmp_path / "good.pth")
    checkpoint = read_checkpoint(tmp_path / "good.pth")
    assert checkpoint.state.keys() == state.keys()
    assert all(torch.equal(checkpoint.state[key], state[key]) for key in state)
    torch.save(
        {"v": WEIGHT.t()[1:, 1:], "w": WEIGHT, "p": torch.nn.Parameter(WEIGHT)}, tmp_path / "v.pth"
    )
    views = read_checkpoint(tmp_path / "v.pth").state
    assert torch.equal(views["v"], WEIGHT.t()[1:, 1:])
    assert torch.equal(views["p"], WEIGHT)


def test_allow_nan_lets_it_pass(tmp_path: Path) -> None:
    torch.save({"w": torch.tensor([float("nan")])}, tmp_path / "nan.pth")
    assert read_checkpoint(tmp_path / "nan.pth", allow_nan=True).state["w"].isnan().all()
