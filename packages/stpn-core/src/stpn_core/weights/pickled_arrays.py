"""What a pickle of arrays and tensors may name and call, and what that gives.

Nothing here is looked up by name: each name that is known stands for a function of this file, which
makes a tensor out of bytes that the pickle holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stpn_core.weights.pickle_rules import Refused, short

_MAX_SIDE = 1 << 40
_ARRAY_TYPES = {
    "f2": torch.float16,
    "f4": torch.float32,
    "f8": torch.float64,
    "i1": torch.int8,
    "i2": torch.int16,
    "i4": torch.int32,
    "i8": torch.int64,
    "u1": torch.uint8,
    "b1": torch.bool,
}
STORAGE_TYPES = {
    "torch FloatStorage": torch.float32,
    "torch DoubleStorage": torch.float64,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch CharStorage": torch.int8,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names: "module name"."""

    name: str


@dataclass
class ArrayType:
    """numpy's dtype, first without its byte order."""

    kind: torch.dtype


@dataclass
class Array:
    """numpy's ndarray: first empty, then with what it holds."""

    tensor: Tensor | None = None


@dataclass(frozen=True)
class Storage:
    """torch's storage: a flat tensor."""

    tensor: Tensor


def build(target: Any, state: Any) -> None:
    """What the instruction BUILD does: numpy tells a dtype its byte order, and an array what it
    holds; torch tells a state dict its versions, which are not needed."""
    match target, state:
        case ArrayType(), (int(), "<" | "|" | "=", *_):
            pass
        case ArrayType(), (int(), str(order), *_):
            raise Refused(f"an array of byte order {short(order)}")
        case Array(), (1, tuple(shape), ArrayType(kind=kind), bool(fortran), bytes(data)):
            target.tensor = _filled(data, kind, shape, "F" if fortran else "C")
        case dict(), dict() if state.keys() <= {"_metadata"}:
            pass
        case _:
            raise Refused("it sets attributes in a form that numpy and torch do not write")


def call(function: str, arguments: tuple[Any, ...], storage: Callable[[bytes], Storage]) -> Any:
    """What calling `function` ("module name") gives, in exactly the forms that numpy and torch
    write. storage: reads the bytes of a storage that was saved by itself."""
    module, _, name = function.partition(" ")
    plain = f"{module.replace('numpy._core', 'numpy.core')} {name}"
    match plain, arguments:
        case "numpy dtype", (str(code), bool(), bool()):
            if code not in _ARRAY_TYPES:
                raise Refused(f"an array of type {short(code)}")
            return ArrayType(_ARRAY_TYPES[code])
        case "numpy.core.multiarray _reconstruct", (Name("numpy ndarray"), (0,), bytes()):
            return Array()
        case "numpy.core.multiarray scalar", (ArrayType(kind=kind), bytes(data)):
            return _filled(data, kind, (), "C").item()
        case "numpy.core.numeric _frombuffer", (
            bytes() | bytearray() as data,
            ArrayType(kind=kind),
            tuple(shape),
            "C" | "F" as order,
        ):
            return _filled(data, kind, shape, order)
        case "_codecs encode", (str(text), "latin1" | "latin-1"):
            return text.encode("latin1")
        case "__builtin__ bytes", ():  # how protocol 2 writes none
            return b""
        case "collections OrderedDict", ():
            return {}
        case "torch.storage _load_from_bytes", (bytes(data),):
            return storage(data)
        case "torch._utils _rebuild_tensor_v2", (
            Storage(tensor=held),
            int(offset),
            tuple(size),
            tuple(stride),
            bool(),
            dict(),
            *_,
        ):
            return _view(held, offset, size, stride)
        case "torch._utils _rebuild_parameter", (Tensor() as tensor, bool(), dict()):
            return tensor
        case _:
            raise Refused(f"it calls {short(function.replace(' ', '.', 1))}")


def storage_of(kind: Name, data: memoryview) -> Storage:
    """The storage of a torch class that holds `data`."""
    dtype = STORAGE_TYPES[kind.name]
    return Storage(_filled(data, dtype, (len(data) // dtype.itemsize,), "C"))


def _filled(
    data: bytes | bytearray | memoryview, kind: torch.dtype, shape: tuple[Any, ...], order: str
) -> Tensor:
    _check_numbers(shape)
    needed = math.prod(shape) * kind.itemsize
    if needed != len(data):
        raise Refused(f"an array of shape {short(shape)} needs {needed} bytes and has {len(data)}")
    if not needed:
        return torch.empty(shape, dtype=kind)
    if kind is torch.bool and max(data) > 1:
        raise Refused("an array of truth values that are neither 0 nor 1")
    flat = torch.frombuffer(bytearray(data), dtype=kind)
    if order == "C":
        return flat.view(shape)
    return flat.view(shape[::-1]).permute(*reversed(range(len(shape)))).contiguous()


def _view(held: Tensor, offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]) -> Tensor:
    _check_numbers((offset, *size, *stride))
    if len(size) != len(stride):
        raise Refused(f"a tensor of size {short(size)} with strides {short(stride)}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= len(held):
        raise Refused(
            f"a tensor of size {short(size)} reaches element {last} of a storage of {len(held)}"
        )
    if 0 in size:
        return torch.empty(size, dtype=held.dtype)
    return torch.as_strided(held, size, stride, offset)


def _check_numbers(numbers: tuple[Any, ...]) -> None:
    if len(numbers) > 100 or not all(type(n) is int and 0 <= n <= _MAX_SIDE for n in numbers):
        raise Refused("an array whose shape is not made of plausible numbers")
