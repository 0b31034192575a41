"""A clip that comes as the body of a request, on its way to a file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

CHUNK = 1 << 20  # bytes
SPARE = 256 << 20  # bytes of the disk that stay free


class Body(Protocol):
    """What can be read."""

    def read(self, size: int, /) -> bytes: ...


class Refused(Exception):
    """A request that is not answered with what it asked for; says why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


def receive(
    body: Body, headers: Mapping[str, str] | Message, name: str, folder: Path, most: int
) -> Path:
    """Write a request's body into `folder`, which is made, and return the file.

    Of the `name` that the browser gave only the ending is used. Raises Refused, and leaves nothing,
    if there is no length or more than `most` bytes, if the disk is full, or if the body ends early.
    """
    length = _length(headers, most)
    folder.mkdir(parents=True)
    path = folder / ("clip" + _ending(name))
    try:
        if shutil.disk_usage(folder).free < length + SPARE:
            raise Refused(
                HTTPStatus.INSUFFICIENT_STORAGE,
                f"the disk with {folder.parent} is too full for this clip; TMPDIR names another",
            )
        with path.open("wb") as file:
            left = length
            while left:
                chunk = body.read(min(CHUNK, left))
                if not chunk:
                    raise Refused(HTTPStatus.BAD_REQUEST, "the upload ended early")
                file.write(chunk)
                left -= len(chunk)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return path


def _length(headers: Mapping[str, str] | Message, most: int) -> int:
    text = headers.get("Content-Length", "")
    if "Transfer-Encoding" in headers or not re.fullmatch(r"[0-9]{1,15}", text):
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "an upload must say its length in bytes")
    if int(text) > most:
        raise Refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the clip has {int(text) / 1e6:,.0f} MB, the most is {most / 1e6:,.0f} MB; "
            "`stpn vod app --max-upload` sets it",
        )
    if int(text) == 0:
        raise Refused(HTTPStatus.BAD_REQUEST, "the clip is empty")
    return int(text)


def _ending(name: str) -> str:
    found = re.search(r"\.[A-Za-z0-9]{1,5}$", name)
    return found[0].lower() if found else ""
