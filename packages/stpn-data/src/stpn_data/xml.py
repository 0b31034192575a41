"""Annotation of one frame in ImageNet's XML, read without trusting it.

Files over 256 KiB, document types and entities are refused before anything is expanded. The common
form is read by one strict regular expression, which accepts nothing that an XML parser would read
differently; everything else goes to expat in small pieces.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from xml.parsers import expat

from stpn_data.errors import DataError
from stpn_data.index import GENERATED, OCCLUDED
from stpn_data.paths import read_file

MAX_BYTES = 256 * 1024
_MAX_DEPTH = 16
_PIECE = 1024  # a refusal in a handler takes effect only between pieces
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)


class Annotation(NamedTuple):
    """Objects of one frame, in the order of the file."""

    width: int
    height: int
    boxes: list[tuple[float, float, float, float]]  # x1, y1, x2, y2 as written
    names: list[str]  # class name or WordNet id
    tracks: list[int]  # -1 where there is none
    flags: list[int]  # OCCLUDED | GENERATED


def read_annotation(path: str | os.PathLike[str]) -> Annotation:
    """Read one XML file. Raises DataError naming the file and what is wrong with it."""
    return parse_annotation(bytes(read_file(path, MAX_BYTES)), os.fspath(path))


def parse_annotation(data: bytes, where: str) -> Annotation:
    """Read the bytes of one XML file; `where` names it in errors (DataError)."""
    if len(data) > MAX_BYTES:
        raise DataError(f"{where}: {len(data):,} bytes, more than the {MAX_BYTES:,} allowed")
    quick = _scan(data)
    return _parse(data, where) if quick is None else quick


# --- the common form -----------------------------------------------------------------------------

_S = rb"[ \t\r\n]*"
_TEXT = rb"[\w ./:-]*"


def _tag(name: bytes, content: bytes) -> bytes:
    return rb"<%b>%b</%b>%b" % (name, content, name, _S)


def _group(name: bytes, content: bytes) -> bytes:
    return rb"<%b>%b%b</%b>%b" % (name, _S, content, name, _S)


_SIDE = rb"(-?\d{1,9})"
_HEAD = re.compile(
    _S
    + rb"<annotation>"
    + _S
    + _tag(b"folder", _TEXT)
    + _tag(b"filename", _TEXT)
    + _group(b"source", _tag(b"database", _TEXT))
    + _group(b"size", _tag(b"width", rb"(\d{1,6})") + _tag(b"height", rb"(\d{1,6})"))
)
_OBJECT = re.compile(
    _group(
        b"object",
        _tag(b"trackid", rb"(\d{1,9})")
        + _tag(b"name", rb"([\w.-]{1,80})")
        + _group(
            b"bndbox",
            _tag(b"xmax", _SIDE)
            + _tag(b"xmin", _SIDE)
            + _tag(b"ymax", _SIDE)
            + _tag(b"ymin", _SIDE),
        )
        + _tag(b"occluded", rb"([01])")
        + _tag(b"generated", rb"([01])"),
    )
)
_TAIL = re.compile(rb"</annotation>" + _S)


def _scan(data: bytes) -> Annotation | None:
    """The annotation if the file has the common form to the last byte, else None."""
    head = _HEAD.match(data)
    if head is None:
        return None
    width, height = int(head[1]), int(head[2])
    if not width or not height:
        return None  # let the slow path explain
    result = Annotation(width, height, [], [], [], [])
    position = head.end()
    while found := _OBJECT.match(data, position):
        track, name, x2, x1, y2, y1, occluded, generated = found.groups()
        result.boxes.append((float(x1), float(y1), float(x2), float(y2)))
        result.names.append(name.decode())
        result.tracks.append(int(track))
        result.flags.append((occluded == b"1") * OCCLUDED | (generated == b"1") * GENERATED)
        position = found.end()
    return result if _TAIL.fullmatch(data, position) else None


# --- everything else -----------------------------------------------------------------------------

_FIELDS = {
    "annotation/size/width",
    "annotation/size/height",
    "annotation/object/trackid",
    "annotation/object/name",
    "annotation/object/bndbox/xmin",
    "annotation/object/bndbox/ymin",
    "annotation/object/bndbox/xmax",
    "annotation/object/bndbox/ymax",
    "annotation/object/occluded",
    "annotation/object/generated",
}


class _Refused(Exception):
    pass


def _parse(data: bytes, where: str) -> Annotation:
    path: list[str] = []
    text: list[str] = []
    size: dict[str, str] = {}
    objects: list[dict[str, str]] = []

    def refuse(*_: object) -> None:
        raise _Refused("document types and entities are not accepted")

    def start(tag: str, _: dict[str, str]) -> None:
        if "/".join(path) in _FIELDS:
            raise _Refused(f"<{path[-1]}> holds another element, expected text")
        path.append(tag)
        text.clear()
        if len(path) > _MAX_DEPTH:
            raise _Refused(f"elements are nested deeper than {_MAX_DEPTH}")
        if len(path) == 1 and tag != "annotation":
            raise _Refused(f"the root element is <{tag}>, expected <annotation>")
        if path == ["annotation", "object"]:
            objects.append({})

    def end(tag: str) -> None:
        place = "/".join(path)
        if place in _FIELDS:
            target = objects[-1] if path[1] == "object" else size
            if tag in target:
                raise _Refused(f"<{tag}> is given twice")
            target[tag] = "".join(text).strip()
        path.pop()
        text.clear()

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        for begin in range(0, len(data), _PIECE):
            parser.Parse(data[begin : begin + _PIECE], False)
        parser.Parse(b"", True)
        return _annotation(size, objects)
    except _Refused as refused:
        raise DataError(f"{where}: {refused}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{where}: not readable as XML: {error}") from error


def _annotation(size: dict[str, str], objects: list[dict[str, str]]) -> Annotation:
    width, height = (int(_number(size, side, "size")) for side in ("width", "height"))
    if width < 1 or height < 1:
        raise _Refused(f"the size is {width}×{height}")
    result = Annotation(width, height, [], [], [], [])
    for number, fields in enumerate(objects, 1):
        what = f"object {number}"
        if not fields.get("name"):
            raise _Refused(f"{what} has no <name>")
        x1, y1, x2, y2 = (_number(fields, side, what) for side in ("xmin", "ymin", "xmax", "ymax"))
        result.boxes.append((x1, y1, x2, y2))
        result.names.append(fields["name"])
        result.tracks.append(int(_number(fields, "trackid", what)) if "trackid" in fields else -1)
        result.flags.append(
            (fields.get("occluded") == "1") * OCCLUDED
            | (fields.get("generated") == "1") * GENERATED
        )
    return result


def _number(fields: dict[str, str], name: str, what: str) -> float:
    if name not in fields:
        raise _Refused(f"{what} has no <{name}>")
    if not _NUMBER.fullmatch(fields[name]):
        raise _Refused(f"{what}: <{name}> is {fields[name][:40]!r}, expected a number")
    return float(fields[name])
