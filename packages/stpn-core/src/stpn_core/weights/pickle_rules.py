"""What a torch checkpoint's pickle may name and call, on placeholders for the results.

The rules of `pickle_scan`: everything that `torch.save` writes for tensors, numbers, strings and
plain containers, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Bytes per element of the storages that hold plain numbers.
STORAGES = {
    "torch FloatStorage": 4,
    "torch DoubleStorage": 8,
    "torch HalfStorage": 2,
    "torch BFloat16Storage": 2,
    "torch LongStorage": 8,
    "torch IntStorage": 4,
    "torch ShortStorage": 2,
    "torch CharStorage": 1,
    "torch ByteStorage": 1,
    "torch BoolStorage": 1,
}
DTYPES = {
    f"torch {name}"
    for name in (
        *("float32", "float64", "float16", "bfloat16", "bool"),
        *("int64", "int32", "int16", "int8", "uint8"),
    )
}
CALLABLES = {
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "collections OrderedDict",
    "collections Counter",
    "__builtin__ set",
    "torch Size",
    "torch device",
}
# Classes of training code whose objects lie beside the weights and hold plain data (the trackers of
# the pytracking family save their settings and statistics). They are never imported: an empty object
# takes the place of each.
STAND_INS = ("lib.train.admin.", "ltr.admin.")
KNOWN_REFUSALS = {
    "sparse": "a sparse tensor",
    "meta_tensor": "a tensor without data (meta)",
    "qtensor": "a quantized tensor",
    "QInt": "a quantized tensor",
    "QUInt": "a quantized tensor",
    "Complex": "a complex tensor",
    "complex": "a complex number",
}


# Placeholders: what stands on the stack instead of the object of that kind. Strings, numbers and
# None stand for themselves.


@dataclass(frozen=True)
class Global:
    name: str


@dataclass(frozen=True)
class Storage:
    elements: int


@dataclass(frozen=True)
class Tuple:
    items: tuple[Any, ...]
    size: int  # elements with those of the tuples inside
    depth: int


@dataclass
class Dict:
    keys: set[str] = field(default_factory=set)  # the strings among them


class List: ...


class StandIn: ...


class Tensor: ...


class Other: ...


class Refused(Exception):
    """The pickle breaks a rule; the message completes the sentence "refused: ..."."""


def named(name: str) -> Global:
    """The placeholder of a class or function "module name", or Refused."""
    if is_stand_in(name):
        return Global(name)
    if name not in STORAGES and name not in DTYPES and name not in CALLABLES:
        wanted = name.replace(" ", ".")
        kinds = (kind for part, kind in KNOWN_REFUSALS.items() if part in name)
        known = next(kinds, None) if wanted.startswith(("torch.", "__builtin__.")) else None
        raise Refused(f"it holds {known} ({wanted})" if known else f"it asks for {short(wanted)}")
    return Global(name)


def is_stand_in(name: str) -> bool:
    """Whether "module name" is a class whose objects are left empty."""
    return name.startswith(STAND_INS)


def stored(pid: Any, records: Mapping[str, int]) -> Storage:
    """The storage that a persistent id names, if the file holds all of it."""
    match pid.items if isinstance(pid, Tuple) else ():
        case ("storage", Global(name=kind), str(key), str(), int(elements)):
            if kind not in STORAGES or elements < 0:
                raise Refused(f"storage {short(key)} is of kind {kind}")
            needed, held = elements * STORAGES[kind], records.get(key)
            if held != needed:
                raise Refused(
                    f"storage {short(key)} should have {needed} bytes, "
                    f"the file holds {'none' if held is None else held}"
                )
            return Storage(elements)
        case _:
            raise Refused("a storage is named in a form that torch.save does not write")


def called(function: str, arguments: tuple[Any, ...]) -> Any:
    """The placeholder of what a call gives, in exactly the forms that torch.save writes."""
    match function, arguments:
        case "torch._utils _rebuild_tensor_v2", (
            Storage(elements=elements),
            int(offset),
            Tuple(items=size),
            Tuple(items=stride),
            bool(),
            Dict(),
        ):
            _check_extent(elements, offset, size, stride)
            return Tensor()
        case "torch._utils _rebuild_parameter", (Tensor(), bool(), Dict()):
            return Tensor()
        case "collections OrderedDict", ():
            return Dict()
        case "collections Counter", () | (Dict(),):
            return Dict()
        case "__builtin__ set", (List(),):
            return Other()
        case "torch Size", (Tuple() as size,):
            return size
        case "torch device", (str(), *_):
            return Other()
        case _:
            raise Refused(f"it calls {function.replace(' ', '.')} in an unusual form")


def _check_extent(
    elements: int, offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]
) -> None:
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise Refused(f"a tensor of size {short(size)} with strides {short(stride)}")
    if 0 in size:
        return
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if last >= elements:
        raise Refused(
            f"a tensor of size {short(size)} with strides {short(stride)} at {offset} reaches "
            f"element {last} of a storage of {elements}"
        )


def short(value: object) -> str:
    """As in Python source, cut to what a message can bear."""
    return repr(value)[:80]
