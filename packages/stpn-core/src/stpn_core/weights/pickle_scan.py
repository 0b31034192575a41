"""What the pickle inside a torch checkpoint would do, found out without doing it.

`torch.load(weights_only=True)` runs no foreign code, but it still calls what its own list allows:
`bytearray(10**12)`, tensors larger than their storage, tuples that take years to hash. So the
instructions are first executed here on placeholders. Only what `torch.save` writes for tensors,
numbers, strings and plain containers passes; everything else is refused by name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stpn_core.errors import InputError

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
KNOWN_REFUSALS = {
    "sparse": "a sparse tensor",
    "meta_tensor": "a tensor without data (meta)",
    "qtensor": "a quantized tensor",
    "QInt": "a quantized tensor",
    "QUInt": "a quantized tensor",
    "Complex": "a complex tensor",
    "complex": "a complex number",
}
MAX_TUPLE_DEPTH = 32
MAX_TUPLE_SIZE = 100_000  # elements after expansion, however often a part is shared


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    elements: int


@dataclass(frozen=True)
class _Tuple:
    items: tuple[Any, ...]
    size: int
    depth: int


@dataclass
class _Dict:
    keys: set[str] = field(default_factory=set)


class _List:
    pass


class _Tensor:
    pass


class _Other:
    pass


class _Refused(Exception):
    pass


def scan_pickle(data: bytes, records: Mapping[str, int], *, max_steps: int, where: str) -> None:
    """Check a torch checkpoint's pickle.

    data: the pickle. records: bytes of each storage record by its key. max_steps: how many pickle
    instructions are plausible (each can allocate an object). where: the file, for messages.

    Raises:
        InputError: the pickle asks for anything but plain tensors and containers, contradicts
            `records`, or is damaged. Nothing of it has been executed.
    """
    scan = _Scan(records)
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
            if count == max_steps:
                raise _Refused(f"its pickle has more than {max_steps} instructions")
            step = _STEPS.get(opcode.name)
            if step is None:
                raise _Refused(f"its pickle uses the instruction {opcode.name}")
            step(scan, argument)
            if opcode.name == "STOP" and position != len(data) - 1:
                raise _Refused("there is more data after the end of its pickle")
    except _Refused as refused:
        near = scan.last_key()
        place = f" (near {_short(near)})" if near else ""
        raise InputError(
            f"{where}: refused, nothing of it was run: {refused}{place}. A checkpoint of plain "
            "tensors does not need that; ask its author for a safetensors file"
        ) from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise InputError(f"{where}: damaged: its pickle cannot be read ({error})") from None


class _Scan:
    """The stacks of a pickle machine that holds placeholders."""

    def __init__(self, records: Mapping[str, int]) -> None:
        self.records = records
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def last_key(self) -> str | None:
        for frame in (self.stack, *reversed(self.outer)):
            for value in reversed(frame):
                if isinstance(value, str):
                    return value
        return None

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.push(self.memo[index])

    def tuple_of(self, count: int | None) -> None:
        if count is None:
            items = self.pop_mark()
        else:
            if len(self.stack) < count:
                raise IndexError("tuple of more items than there are")
            items = self.stack[len(self.stack) - count :]
            del self.stack[len(self.stack) - count :]
        parts = [item for item in items if isinstance(item, _Tuple)]
        size = 1 + len(items) + sum(part.size for part in parts)
        depth = 1 + max((part.depth for part in parts), default=0)
        if size > MAX_TUPLE_SIZE or depth > MAX_TUPLE_DEPTH:
            raise _Refused("it nests tuples in tuples without end")
        self.push(_Tuple(tuple(items), size, depth))

    def append(self, _: Any) -> None:
        self.stack.pop()
        self._need(self.stack[-1], _List, "APPEND")

    def appends(self, _: Any) -> None:
        self.pop_mark()
        self._need(self.stack[-1], _List, "APPENDS")

    def set_item(self, _: Any) -> None:
        self.stack.pop()
        key = self.stack.pop()
        self._set_keys([key])

    def set_items(self, _: Any) -> None:
        self._set_keys(self.pop_mark()[::2])

    def _set_keys(self, keys: list[Any]) -> None:
        target = self._need(self.stack[-1], _Dict, "SETITEM")
        target.keys.update(key for key in keys if isinstance(key, str))

    def global_(self, name: str) -> None:
        if name not in STORAGES and name not in DTYPES and name not in CALLABLES:
            kinds = (kind for part, kind in KNOWN_REFUSALS.items() if part in name)
            wanted = name.replace(" ", ".")
            known = next(kinds, None) if wanted.startswith(("torch.", "__builtin__.")) else None
            raise _Refused(
                f"it holds {known} ({wanted})" if known else f"it asks for {_short(wanted)}"
            )
        self.push(_Global(name))

    def build(self, _: Any) -> None:
        # torch.save writes the `_metadata` of a state dict this way. Any other attribute could
        # replace a method of the dictionary.
        state = self._need(self.stack.pop(), _Dict, "BUILD")
        self._need(self.stack[-1], _Dict, "BUILD")
        if not state.keys <= {"_metadata"}:
            raise _Refused(f"it sets attributes {_short(sorted(state.keys))}")

    def storage(self, _: Any) -> None:
        pid = self.stack.pop()
        match pid.items if isinstance(pid, _Tuple) else ():
            case ("storage", _Global(name=kind), str(key), str(), int(elements)):
                if kind not in STORAGES or elements < 0:
                    raise _Refused(f"storage {_short(key)} is of kind {kind}")
                if self.records.get(key) != elements * STORAGES[kind]:
                    raise _Refused(
                        f"storage {_short(key)} should have {elements * STORAGES[kind]} bytes, "
                        f"the file holds {self.records.get(key, 'none')}"
                    )
                self.push(_Storage(elements))
            case _:
                raise _Refused("a storage is named in a form that torch.save does not write")

    def reduce(self, _: Any) -> None:
        arguments = self._need(self.stack.pop(), _Tuple, "REDUCE").items
        function = self._need(self.stack.pop(), _Global, "REDUCE").name
        match function, arguments:
            case "torch._utils _rebuild_tensor_v2", (
                _Storage(elements=elements),
                int(offset),
                _Tuple(items=size),
                _Tuple(items=stride),
                bool(),
                _Dict(),
            ):
                _check_extent(elements, offset, size, stride)
                self.push(_Tensor())
            case "torch._utils _rebuild_parameter", (_Tensor(), bool(), _Dict()):
                self.push(_Tensor())
            case "collections OrderedDict", ():
                self.push(_Dict())
            case "collections Counter", () | (_Dict(),):
                self.push(_Dict())
            case "__builtin__ set", (_List(),):
                self.push(_Other())
            case "torch Size", (_Tuple() as size,):
                self.push(size)
            case "torch device", (str(), *_):
                self.push(_Other())
            case _:
                raise _Refused(f"it calls {function.replace(' ', '.')} in an unusual form")

    @staticmethod
    def _need(value: Any, kind: type, instruction: str) -> Any:
        if not isinstance(value, kind):
            raise _Refused(
                f"its pickle uses {instruction} on something else than a {kind.__name__}"
            )
        return value


def _check_extent(
    elements: int, offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]
) -> None:
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise _Refused(f"a tensor of size {_short(size)} with strides {_short(stride)}")
    if 0 in size:
        return
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if last >= elements:
        raise _Refused(
            f"a tensor of size {_short(size)} with strides {_short(stride)} at {offset} reaches "
            f"element {last} of a storage of {elements}"
        )


def _short(value: object) -> str:
    return repr(value)[:80]


def _constant(value: Any) -> Callable[[_Scan, Any], None]:
    return lambda scan, _: scan.push(value)


def _nothing(scan: _Scan, _: Any) -> None:
    pass


# The instructions that torch's own restricted reader knows, less NEWOBJ, which torch.save does not
# write for anything allowed here.
_STEPS: dict[str, Callable[[_Scan, Any], None]] = {
    "PROTO": _nothing,
    "STOP": _nothing,
    "MARK": _Scan.mark,
    "BINPUT": _Scan.put,
    "LONG_BINPUT": _Scan.put,
    "BINGET": _Scan.get,
    "LONG_BINGET": _Scan.get,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "BININT": _Scan.push,
    "BININT1": _Scan.push,
    "BININT2": _Scan.push,
    "LONG1": _Scan.push,
    "BINFLOAT": _Scan.push,
    "BINUNICODE": _Scan.push,
    "SHORT_BINSTRING": lambda scan, _: scan.push(_Other()),
    "EMPTY_TUPLE": lambda scan, _: scan.tuple_of(0),
    "TUPLE1": lambda scan, _: scan.tuple_of(1),
    "TUPLE2": lambda scan, _: scan.tuple_of(2),
    "TUPLE3": lambda scan, _: scan.tuple_of(3),
    "TUPLE": lambda scan, _: scan.tuple_of(None),
    "EMPTY_LIST": lambda scan, _: scan.push(_List()),
    "EMPTY_DICT": lambda scan, _: scan.push(_Dict()),
    "EMPTY_SET": lambda scan, _: scan.push(_Other()),
    "APPEND": _Scan.append,
    "APPENDS": _Scan.appends,
    "SETITEM": _Scan.set_item,
    "SETITEMS": _Scan.set_items,
    "GLOBAL": _Scan.global_,
    "REDUCE": _Scan.reduce,
    "BUILD": _Scan.build,
    "BINPERSID": _Scan.storage,
}
