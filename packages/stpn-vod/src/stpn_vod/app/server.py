"""The page and what it asks for, over HTTP on the loopback interface.

GET    /                                  the page, with /page.css and /page.js
GET    /api/info                          detector, lanes, classes, defaults
GET    /api/jobs                          all jobs
POST   /api/jobs?name=...&policy=...      a clip as the body; options as in `options.py`
GET    /api/jobs/N/events?after=0         server-sent events: `job` and `frame`
GET    /api/jobs/N/frames/T.jpg           a frame without boxes
GET    /api/jobs/N/detections.jsonl       at ?score=0.5
GET    /api/jobs/N/annotated.mp4          at ?score=0.5
POST   /api/jobs/N/cancel
DELETE /api/jobs/N
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from stpn_vod.app.guard import refusal
from stpn_vod.app.jobs import OVER, Job, JobQueue, QueueFull, explain
from stpn_vod.app.uploads import Refused, receive

log = logging.getLogger(__name__)
PAGE = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/view.js": ("view.js", "text/javascript; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
LINGER = 10.0  # seconds
BEAT = 10.0  # seconds between signs of life on an event stream, which notice a reader that left


@dataclass(frozen=True)
class Service:
    """What the server serves. info: what the page must know before its first clip; submit: makes a
    job of an uploaded file (its name, where it lies, the form's fields); lines, clip: downloads."""

    queue: JobQueue
    folder: Path
    max_upload: int
    info: dict[str, Any]
    submit: Callable[[int, str, Path, dict[str, str]], Job]
    lines: Callable[[Job, float], Iterable[str]]
    clip: Callable[[Job, float], Path]


class AppServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1, on a free port if none is given. Raises OSError if it is taken."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, service: Service) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.service = service

    @property
    def address(self) -> str:
        """What to type into a browser."""
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that leaves in the middle of an answer is no error."""
        log.debug("%s", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: AppServer
    protocol_version = "HTTP/1.1"
    server_version = "stpn"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """See the module."""
        self._answer("GET")

    def do_POST(self) -> None:
        """See the module."""
        self._answer("POST")

    def do_DELETE(self) -> None:
        """See the module."""
        self._answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not worth a line in the terminal."""
        log.debug(format, *args)

    def _answer(self, method: str) -> None:
        url = urlsplit(self.path)
        fields = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            why = refusal(method, url.path, self.headers, self.server.server_port)
            if why:
                raise Refused(HTTPStatus.FORBIDDEN, why)
            self._route(method, url.path, fields)
        except Refused as error:
            self._json({"error": str(error)}, error.status, close=True)
            self._linger()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _linger(self) -> None:
        """Read what is left of a refused upload: a browser that still sends would not see why."""
        if not self.headers.get("Content-Length", "0").strip("0"):
            return
        self.connection.settimeout(LINGER)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            until = time.monotonic() + LINGER
            while self.rfile.read1(1 << 20) and time.monotonic() < until:
                pass

    def _route(self, method: str, path: str, fields: dict[str, str]) -> None:
        match (method, *path.strip("/").split("/")):
            case ("GET", *_) if path in PAGE:
                name, kind = PAGE[path]
                self._bytes(files(__package__).joinpath(name).read_bytes(), kind)
            case ("GET", "api", "info"):
                self._json(self.server.service.info)
            case ("GET", "api", "jobs"):
                self._json([job.snapshot() for job in self.server.service.queue.all()])
            case ("POST", "api", "jobs"):
                self._submit(fields)
            case ("DELETE", "api", "jobs", number):
                self.server.service.queue.remove(self._job(number).number)
                self._json({})
            case ("POST", "api", "jobs", number, "cancel"):
                self._job(number).cancel()
                self._json({})
            case ("GET", "api", "jobs", number, "events"):
                self._events(self._job(number), int(_number(fields, "after", 0)))
            case ("GET", "api", "jobs", number, "frames", name):
                self._frame(self._job(number), name)
            case ("GET", "api", "jobs", number, "detections.jsonl" | "annotated.mp4" as name):
                self._download(self._job(number), name, _number(fields, "score", 0.5))
            case _:
                raise Refused(HTTPStatus.NOT_FOUND, f"{method} {path[:200]}: there is no such page")

    def _job(self, number: str) -> Job:
        known = number.isascii() and number.isdecimal() and len(number) < 10
        job = self.server.service.queue.get(int(number)) if known else None
        if job is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"there is no clip number {number[:20]} (any more)")
        return job

    def _submit(self, fields: dict[str, str]) -> None:
        service = self.server.service
        name = fields.pop("name", "")
        try:
            service.queue.check_room()
            number = service.queue.number()
            clip = receive(
                self.rfile, self.headers, name, service.folder / str(number), service.max_upload
            )
            job = service.submit(number, name, clip, fields)
        except QueueFull as error:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from error
        self._json(job.snapshot(), HTTPStatus.CREATED)

    def _events(self, job: Job, after: int) -> None:
        with suppress(ValueError):  # where a browser that lost the connection goes on
            after = int(self.headers.get("Last-Event-ID", "")) + 1
        self._head(HTTPStatus.OK, "text/event-stream", close=True)
        known: dict[str, Any] = {}
        while True:
            known = job.wait(known, BEAT)
            lines = [f"event: job\ndata: {json.dumps(known)}\n\n"]
            for t in range(max(0, after), known["answered"]):
                record = json.dumps(job.records[t])
                lines.append(f"event: frame\nid: {t}\ndata: {record}\n\n")
                after = t + 1
            self.wfile.write("".join(lines).encode())
            self.wfile.flush()
            gone = self.server.service.queue.get(job.number) is None
            if known["state"] in OVER or gone:
                self.wfile.write(b"event: end\ndata: {}\n\n")
                return

    def _frame(self, job: Job, name: str) -> None:
        number = name.removesuffix(".jpg")
        known = number.isascii() and number.isdecimal() and len(number) < 10
        try:
            data = job.picture(int(number)).read_bytes() if known else None
        except OSError:
            data = None
        if data is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"{job.name}: no picture {name[:20]}")
        self._bytes(data, "image/jpeg", {"Cache-Control": "private, max-age=86400"})

    def _download(self, job: Job, name: str, score: float) -> None:
        service = self.server.service
        shown = f"{Path(job.name).stem}.{name}"
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(shown)}"}
        if name == "detections.jsonl":
            text = "".join(service.lines(job, score))
            self._bytes(text.encode(), "application/jsonl", headers)
            return
        try:
            path = service.clip(job, score)
        except Exception as error:
            if not isinstance(getattr(error, "exit_code", None), int):
                log.exception("%s", job.name)
            raise Refused(HTTPStatus.CONFLICT, explain(error, job)) from error
        with path.open("rb") as file:
            self._head(HTTPStatus.OK, "video/mp4", headers, path.stat().st_size)
            while chunk := file.read(1 << 20):
                self.wfile.write(chunk)

    def _json(self, value: Any, status: HTTPStatus = HTTPStatus.OK, *, close: bool = False) -> None:
        self._bytes(json.dumps(value).encode(), "application/json", status=status, close=close)

    def _bytes(
        self,
        data: bytes,
        kind: str,
        headers: dict[str, str] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
        *,
        close: bool = False,
    ) -> None:
        self._head(status, kind, headers, len(data), close=close)
        self.wfile.write(data)

    def _head(
        self,
        status: HTTPStatus,
        kind: str,
        headers: dict[str, str] | None = None,
        length: int | None = None,
        *,
        close: bool = False,
    ) -> None:
        own = {
            "Content-Type": kind,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
        } | (headers or {})
        if length is not None:
            own["Content-Length"] = str(length)
        if close:  # what is left of the request's body is not read
            own["Connection"] = "close"
            self.close_connection = True
        self.send_response(status)
        for key, value in own.items():
            self.send_header(key, value)
        self.end_headers()


def _number(fields: dict[str, str], name: str, default: float) -> float:
    try:
        value = float(fields.get(name, default))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name}: must be a number from 0")
    return value
