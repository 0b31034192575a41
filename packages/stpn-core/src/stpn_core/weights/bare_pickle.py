"""Bare pickles (`.pkl`), such as detectron2's model zoo has: read without unpickling.

Python's pickle imports what a file names and calls what it asks for. Here its instructions are read
one by one into plain values: strings, numbers, bytes, containers, and the tensors that
`pickled_arrays` makes. There is no import and no call of anything that a file could name. Values of
a file are not hashed, compared or printed unless they are texts or numbers. An instruction or a
name that arrays, tensors and containers do not need is refused.
"""

from __future__ import annotations

import io
import pickletools
import struct
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from stpn_core.errors import InputError
from stpn_core.weights.pickle_rules import Refused, short
from stpn_core.weights.pickled_arrays import (
    STORAGE_TYPES,
    Array,
    Name,
    Storage,
    build,
    call,
    storage_of,
)

# An instruction of one byte can make an object of some 200 bytes.
_STEPS_FREE, _BYTES_PER_STEP = 250_000, 128
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


def read_bare_pickle(file: BinaryIO, size: int, where: str) -> object:
    """What a pickle of arrays or tensors holds, arrays as tensors.

    file: open for reading, `size` bytes. where: the file, for messages.

    Raises:
        InputError: damaged, or it asks for anything but arrays, tensors and containers. Nothing of
            it is run.
    """
    file.seek(0)
    bounded = _Bounded(file, size)
    machine = _Machine(_STEPS_FREE + size // _BYTES_PER_STEP)
    try:
        with warnings.catch_warnings():
            # pickletools decodes the argument of an instruction before it can be refused
            warnings.simplefilter("ignore", DeprecationWarning)
            found = machine.run(bounded)
        if bounded.left:
            raise Refused("there is more data after the end of its pickle")
    except Refused as refused:
        near = machine.last_text()
        place = f" (near {short(near)})" if near else ""
        raise InputError(
            f"{where}: refused, nothing of it was run: {refused}{place}. A checkpoint of plain "
            "arrays does not need that; ask its author for a safetensors file"
        ) from None
    except (
        *(ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError),
        *(UnicodeError, RuntimeError, MemoryError, struct.error),
    ) as error:
        raise InputError(
            f"{where}: damaged: its pickle cannot be read ({str(error)[:200]})"
        ) from None
    return found


class _Bounded:
    """A file that is never asked for more than it has, whatever a length in it claims."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.left = size

    def read(self, count: int) -> bytes:
        data = self._file.read(min(count, self.left))
        self.left -= len(data)
        return data

    def readline(self) -> bytes:
        data = self._file.readline(min(1000, self.left))
        self.left -= len(data)
        return data

    def tell(self) -> int:
        return self._file.tell()


class _Machine:
    """The stacks of a pickle machine that knows plain values alone."""

    def __init__(self, steps: int, *, inside_storage: bool = False) -> None:
        self.steps = steps
        self.inside_storage = inside_storage
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: _Bounded) -> Any:
        """The value of the next pickle in the file, read up to its end."""
        self.stack, self.outer, self.memo = [], [], {}
        for opcode, argument, _ in pickletools.genops(cast(io.BytesIO, file)):
            self.steps -= 1
            if self.steps < 0:
                raise Refused("its pickle has too many instructions")
            if opcode.name == "STOP":
                break
            step = _STEPS.get(opcode.name)
            if step is None:
                raise Refused(f"its pickle uses the instruction {opcode.name}")
            step(self, argument)
        return self.take()

    def last_text(self) -> str | None:
        for frame in (self.stack, *reversed(self.outer)):
            for value in reversed(frame):
                if isinstance(value, str):
                    return value
        return None

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def take(self) -> Any:
        """The uppermost value, an array as its tensor."""
        return _resolved(self.stack.pop())

    def mark(self, _: Any) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return [_resolved(item) for item in items]

    def put(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.push(self.memo[index])

    def tuple_of(self, count: int | None) -> None:
        if count is None:
            self.push(tuple(self.pop_mark()))
            return
        self.push(tuple([self.take() for _ in range(count)][::-1]))

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Refused("its pickle appends to something else than a list")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise Refused("its pickle sets items of something else than a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise Refused(f"a key of a dictionary is a {type(key).__name__}")
            target[key] = value

    def set_item(self, _: Any) -> None:
        value = self.take()
        self.set_items([self.take(), value])

    def global_(self, name: str | None) -> None:
        if name is None:  # STACK_GLOBAL
            last, module = self.take(), self.take()
            if not isinstance(last, str) or not isinstance(module, str):
                raise Refused("a name in it is no text")
            name = f"{module} {last}"
        self.push(Name(name))

    def reduce(self, _: Any) -> None:
        arguments, function = self.take(), self.take()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Refused("it calls something that has no name")
        if self.inside_storage:
            raise Refused(f"a storage in it calls {short(function.name)}")
        self.push(call(function.name, arguments, _read_storage))

    def build(self, _: Any) -> None:
        state = self.take()
        build(self.stack[-1], state)

    def persistent(self, _: Any) -> None:
        match self.inside_storage, self.take():
            case True, ("storage", Name(name=kind) as name, str(key), str(), int(elements), None):
                if kind not in STORAGE_TYPES:
                    raise Refused(f"a storage of kind {short(kind)}")
                self.push((name, key, elements))
            case _:
                raise Refused("it refers to data outside of itself")


def _resolved(value: Any) -> Any:
    if not isinstance(value, Array):
        return value
    if value.tensor is None:
        raise Refused("an array that is never filled")
    return value.tensor


def _read_storage(data: bytes) -> Storage:
    """A storage that torch saved by itself, which is five pickles and the numbers."""
    file = _Bounded(io.BytesIO(data), len(data))
    machine = _Machine(1000, inside_storage=True)
    magic, _, _, described, keys = (machine.run(file) for _ in range(5))
    match described, keys:
        case (Name() as kind, str(key), int(elements)), [str(only)] if only == key:
            pass
        case _:
            raise Refused("a storage in a form that torch does not write")
    if magic != _LEGACY_MAGIC:
        raise Refused("a storage in a form that torch does not write")
    (count,) = struct.unpack("<q", file.read(8))
    numbers = memoryview(data)[len(data) - file.left :]  # no copy
    if count != elements or elements * STORAGE_TYPES[kind.name].itemsize != len(numbers):
        raise Refused(f"a storage of {elements} numbers has {len(numbers)} bytes")
    return storage_of(kind, numbers)


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _nothing(machine: _Machine, _: Any) -> None:
    pass


_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(_VALUES, _Machine.push),
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": _Machine.mark,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": lambda machine, _: machine.tuple_of(0),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": lambda machine, _: machine.tuple_of(None),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "APPEND": lambda machine, _: machine.append([machine.take()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_mark()),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_mark()),
    "GLOBAL": _Machine.global_,
    "STACK_GLOBAL": _Machine.global_,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
}
