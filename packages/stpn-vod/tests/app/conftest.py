"""A clip, a running server, and a client for it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from stpn_data.video_write import write_video
from stpn_vod.app.serve import serving
from stpn_vod.predict_config import PredictConfig

from ..test_stream import scene

SETTINGS = PredictConfig(policy="window", count=2, stride=2, short_side=40, long_side=64)
FRAMES = 12


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames, mp4."""
    path = tmp_path_factory.mktemp("clip") / "street café.mp4"
    write_video(path, scene(FRAMES, seed=1), fps=10)
    return path


@dataclass(frozen=True)
class Client:
    """Talks to a server as its page does."""

    address: str

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=120)
        try:
            connection.request(method, path, body, {"X-Stpn-App": "1", **headers})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: bytes | None = None) -> Any:
        """The JSON that a request gives, which must succeed."""
        status, _, data = self.ask(method, path, body)
        assert status < 300, data
        return json.loads(data)

    def submit(self, data: bytes, name: str = "clip.mp4", **fields: object) -> int:
        """Number of a new job."""
        query = urlencode({"name": name, **fields})
        return self.json("POST", f"/api/jobs?{query}", data)["number"]

    def events(self, number: int, after: int = 0) -> list[tuple[str, Any]]:
        """Every event of a job until it is over: (kind, data)."""
        _, _, data = self.ask("GET", f"/api/jobs/{number}/events?after={after}")
        found = []
        for block in data.decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if fields:
                found.append((fields["event"], json.loads(fields["data"])))
        return found

    def finished(self, number: int) -> dict[str, Any]:
        """The last snapshot of a job, after it is over."""
        return [data for kind, data in self.events(number) if kind == "job"][-1]


@pytest.fixture(scope="session")
def client(detector, twin_detector) -> Iterator[Client]:
    """A server with three lanes; its longest clip is 1 MB."""
    with serving(detector, twin_detector, SETTINGS, max_upload=1) as address:
        yield Client(address)
