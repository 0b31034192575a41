"""A large JSON object read array element by array element, in memory that does not grow with it."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NoReturn

from tqdm import tqdm

from stpn_data.errors import DataError

_CHUNK = 1 << 20
_MAX_ELEMENT = 16 * 1024 * 1024  # characters of one element
_SPACE = " \t\r\n"
_AFTER = _SPACE + ",:]}"


def read_json_arrays(
    path: str | os.PathLike[str],
    handlers: Mapping[str, Callable[[int, Any], None]],
    *,
    progress: bool = False,
) -> set[str]:
    """Call `handlers[key](position, element)` for each element of the top-level arrays they name.

    Returns the keys found at the top; one of `handlers` whose value is null counts as not found.
    `progress` shows a bar on a terminal. NaN and Infinity, a key given twice and trailing text are
    refused. Raises DataError with the file and the JSON pointer
    or character.
    """
    try:
        with (
            open(path, "rb") as file,
            tqdm(
                desc=f"reading {os.path.basename(path)}",
                total=os.fstat(file.fileno()).st_size,
                unit="B",
                unit_scale=True,
                disable=None if progress else True,
            ) as bar,
        ):
            return _Reader(os.fspath(path), file, bar.update).top(handlers)
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: {error.strerror}") from error


class _Reader:
    def __init__(self, path: str, file: BinaryIO, advance: Callable[[int], Any]) -> None:
        self.path = path
        self._advance = advance
        self.pointer = ""
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._at, self._before, self._ended = "", 0, 0, False
        self._json = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_unique)

    def top(self, handlers: Mapping[str, Callable[[int, Any], None]]) -> set[str]:
        keys: set[str] = set()
        absent: set[str] = set()
        self._expect("{")
        if self._next() == "}":
            self._at += 1
        else:
            while True:
                key = self._value()
                if not isinstance(key, str) or key in keys:
                    self._fail(f"the key {key!r} is given twice or is no text")
                keys.add(key)
                self.pointer = f"/{key}"
                self._expect(":")
                if not self._member(handlers.get(key)):
                    absent.add(key)
                self.pointer = ""
                if self._expect(",}") == "}":
                    break
        if self._next():
            self._fail("text follows the end of the object")
        return keys - absent

    def _member(self, handler: Callable[[int, Any], None] | None) -> bool:
        """Hand on the elements of one array; False if there should be one and is null."""
        if self._next() != "[":
            if self._value() is None and handler:
                return False
            if handler:
                self._fail("expected an array")
            return True
        self._at += 1
        if self._next() == "]":
            self._at += 1
            return True
        pointer, position = self.pointer, 0
        while True:
            self.pointer = f"{pointer}/{position}"
            element = self._value()
            if handler:
                handler(position, element)
            position += 1
            if self._expect(",]") == "]":
                return True

    def _next(self) -> str:
        """The next character that is no space, not consumed; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def _expect(self, characters: str) -> str:
        found = self._next()
        if not found or found not in characters:
            self._fail(f"expected {' or '.join(characters)}, found {found or 'the end'}")
        self._at += 1
        return found

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
                # a number that the chunk ends in may go on: 1 | .5
                whole = end < len(self._text) and self._text[end] in _AFTER
                if whole or not self._more():
                    self._at = end
                    return value
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > _MAX_ELEMENT:
                    self._fail("one value of more than 16 million characters, or a missing quote")
                if not self._more():
                    self._at = error.pos
                    self._fail(error.msg)
            except (ValueError, RecursionError) as error:
                self._fail("too deeply nested" if isinstance(error, RecursionError) else str(error))

    def _more(self) -> bool:
        """Read another chunk; False at the end of the file."""
        if self._ended:
            return False
        data = self._file.read(_CHUNK)
        self._advance(len(data))
        self._ended = len(data) < _CHUNK
        try:
            text = self._decode(data, self._ended)
        except UnicodeDecodeError as error:
            self._fail(f"not UTF-8 text: {error.reason}")
        self._before += self._at
        self._text, self._at = self._text[self._at :] + text, 0
        return True

    def _fail(self, reason: str) -> NoReturn:
        place = f"{self.pointer or '/'} (character {self._before + self._at:,})"
        raise DataError(f"{self.path}: {place}: not valid: {reason}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key is given twice")
    return result
