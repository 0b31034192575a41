"""What the pickle inside a torch checkpoint would do, found out without doing it.

`torch.load(weights_only=True)` runs no foreign code, but it still calls what its own list allows:
`bytearray(10**12)`, tensors larger than their storage, tuples that take years to hash. So the
instructions are first executed here on placeholders. Only what `torch.save` writes for tensors,
numbers, strings and plain containers passes; everything else is refused by name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from stpn_core.errors import InputError
from stpn_core.weights.pickle_rules import (
    Dict,
    Global,
    List,
    Other,
    Refused,
    StandIn,
    Tuple,
    called,
    is_stand_in,
    named,
    short,
    stored,
)

MAX_TUPLE_DEPTH = 32
MAX_TUPLE_SIZE = 100_000  # elements after expansion, however often a part is shared


def scan_pickle(
    data: bytes, records: Mapping[str, int], *, max_steps: int, where: str
) -> frozenset[str]:
    """Check a torch checkpoint's pickle; the names of classes of which it needs empty stand-ins.

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
                raise Refused(f"its pickle has more than {max_steps} instructions")
            step = _STEPS.get(opcode.name)
            if step is None:
                raise Refused(f"its pickle uses the instruction {opcode.name}")
            step(scan, argument)
            if opcode.name == "STOP" and position != len(data) - 1:
                raise Refused("there is more data after the end of its pickle")
    except Refused as refused:
        near = scan.last_key()
        place = f" (near {short(near)})" if near else ""
        raise InputError(
            f"{where}: refused, nothing of it was run: {refused}{place}. A checkpoint of plain "
            "tensors does not need that; ask its author for a safetensors file"
        ) from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
        raise InputError(
            f"{where}: damaged: its pickle cannot be read ({str(error)[:200]})"
        ) from None
    return frozenset(scan.stand_ins)


class _Scan:
    """The stacks of a pickle machine that holds placeholders."""

    def __init__(self, records: Mapping[str, int]) -> None:
        self.records = records
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.stand_ins: set[str] = set()

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
        parts = [item for item in items if isinstance(item, Tuple)]
        size = 1 + len(items) + sum(part.size for part in parts)
        depth = 1 + max((part.depth for part in parts), default=0)
        if size > MAX_TUPLE_SIZE or depth > MAX_TUPLE_DEPTH:
            raise Refused("it nests tuples in tuples without end")
        self.push(Tuple(tuple(items), size, depth))

    def append(self, _: Any) -> None:
        self.stack.pop()
        self._need(self.stack[-1], List, "APPEND")

    def appends(self, _: Any) -> None:
        self.pop_mark()
        self._need(self.stack[-1], List, "APPENDS")

    def set_item(self, _: Any) -> None:
        self.stack.pop()
        key = self.stack.pop()
        self._set_keys([key])

    def set_items(self, _: Any) -> None:
        self._set_keys(self.pop_mark()[::2])

    def _set_keys(self, keys: list[Any]) -> None:
        target = self._need(self.stack[-1], Dict, "SETITEM")
        target.keys.update(key for key in keys if isinstance(key, str))

    def global_(self, name: str) -> None:
        self.push(named(name))
        if is_stand_in(name):
            self.stand_ins.add(name.replace(" ", "."))

    def build(self, _: Any) -> None:
        # torch.save writes the `_metadata` of a state dict this way. Any other attribute could
        # replace a method of the dictionary.
        state = self._need(self.stack.pop(), Dict, "BUILD")
        if isinstance(self.stack[-1], StandIn):
            return  # it takes no attributes
        self._need(self.stack[-1], Dict, "BUILD")
        if not state.keys <= {"_metadata"}:
            raise Refused(f"it sets attributes {short(sorted(state.keys))}")

    def storage(self, _: Any) -> None:
        self.push(stored(self.stack.pop(), self.records))

    def reduce(self, _: Any) -> None:
        arguments = self._need(self.stack.pop(), Tuple, "REDUCE").items
        function = self._need(self.stack.pop(), Global, "REDUCE").name
        self.push(called(function, arguments))

    def new_object(self, _: Any) -> None:
        arguments = self._need(self.stack.pop(), Tuple, "NEWOBJ").items
        name = self._need(self.stack.pop(), Global, "NEWOBJ").name
        if arguments or not is_stand_in(name):
            raise Refused(f"it makes an object of {short(name.replace(' ', '.'))}")
        self.push(StandIn())

    @staticmethod
    def _need(value: Any, kind: type, instruction: str) -> Any:
        if not isinstance(value, kind):
            raise Refused(f"its pickle uses {instruction} on something else than a {kind.__name__}")
        return value


def _constant(value: Any) -> Callable[[_Scan, Any], None]:
    return lambda scan, _: scan.push(value)


def _nothing(scan: _Scan, _: Any) -> None:
    pass


# The instructions that torch's own restricted reader knows.
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
    "SHORT_BINSTRING": lambda scan, _: scan.push(Other()),
    "EMPTY_TUPLE": lambda scan, _: scan.tuple_of(0),
    "TUPLE1": lambda scan, _: scan.tuple_of(1),
    "TUPLE2": lambda scan, _: scan.tuple_of(2),
    "TUPLE3": lambda scan, _: scan.tuple_of(3),
    "TUPLE": lambda scan, _: scan.tuple_of(None),
    "EMPTY_LIST": lambda scan, _: scan.push(List()),
    "EMPTY_DICT": lambda scan, _: scan.push(Dict()),
    "EMPTY_SET": lambda scan, _: scan.push(Other()),
    "APPEND": _Scan.append,
    "APPENDS": _Scan.appends,
    "SETITEM": _Scan.set_item,
    "SETITEMS": _Scan.set_items,
    "GLOBAL": _Scan.global_,
    "REDUCE": _Scan.reduce,
    "NEWOBJ": _Scan.new_object,
    "BUILD": _Scan.build,
    "BINPERSID": _Scan.storage,
}
