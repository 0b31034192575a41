"""A Hub on this machine, for tests: repositories in memory, behind the requests that
huggingface_hub makes to download a file and to upload a folder as one commit."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

Files = dict[str, bytes]


@dataclass
class FakeRepository:
    """private, gated: whether a token is asked for, and consent. branches: name -> commit."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, branch: str = "main") -> str:
        """Add files to what a branch holds; returns the commit."""
        held = {**self.commits.get(self.branches.get(branch, ""), {}), **files}
        name = hashlib.sha1(  # noqa: S324 - names a commit, as git does
            repr((sorted(held.items()), len(self.commits))).encode()
        ).hexdigest()
        self.commits[name] = held
        self.branches[branch] = name
        return name


@dataclass
class FakeHub:
    """repositories by name; token: the one that may write; requests: "METHOD path" of each."""

    repositories: dict[str, FakeRepository] = field(default_factory=dict)
    token: str = "hf_test"  # noqa: S105
    requests: list[str] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve a hub on the loopback interface, until the block ends."""
    hub = FakeHub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def point_at(hub_url: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make huggingface_hub, which reads its settings when it is imported, ask `hub_url`, keep what it
    downloads in `cache`, and know no token."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub_url)
    template = f"{hub_url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)


class _Refused(Exception):
    def __init__(self, status: int, code: str = "", said: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.said = status, code, said or {}


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.hub.requests.append(f"{self.command} {self.path}")
        try:
            data, headers = self._route(body)
            status = 200
        except _Refused as refused:
            status, headers = refused.status, {"X-Error-Code": refused.code}
            data = json.dumps(refused.said).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _route(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        path = self.path.split("?")[0]
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(*found.groups())
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/(.+)", path):
            self._may_write()
            modes = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return _json({"files": modes})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            return self._commit(found[1], found[2], body)
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        raise _Refused(404)

    def _repository(self, name: str) -> FakeRepository:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self._known()):
            raise _Refused(401, "RepoNotFound")
        return repository

    def _file(self, name: str, revision: str, file: str) -> tuple[bytes, dict[str, str]]:
        repository = self._repository(name)
        if repository.gated:
            raise _Refused(403, "GatedRepo")
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise _Refused(404, "RevisionNotFound")
        if file not in repository.commits[commit]:
            raise _Refused(404, "EntryNotFound")
        data = repository.commits[commit][file]
        tag = hashlib.sha256(data).hexdigest()
        return data, {"X-Repo-Commit": commit, "ETag": f'"{tag}"'}

    def _create(self, asked: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        self._may_write()
        name = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
        if name in self.hub.repositories:
            raise _Refused(409, said={"url": f"{self.hub.url}/{name}"})
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        repository = self.hub.repositories[name] = FakeRepository(private=private)
        repository.commit({".gitattributes": b""})
        return _json({"url": f"{self.hub.url}/{name}", "name": name, "id": "0"})

    def _commit(self, name: str, branch: str, body: bytes) -> tuple[bytes, dict[str, str]]:
        self._may_write()
        repository = self._repository(name)
        if branch not in repository.branches:
            raise _Refused(404, "RevisionNotFound")
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        commit = repository.commit(files, branch)
        return _json(
            {
                "success": True,
                "commitOid": commit,
                "commitUrl": f"{self.hub.url}/{name}/commit/{commit}",
                "hookOutput": "",
            }
        )

    def _known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _may_write(self) -> None:
        if "Authorization" not in self.headers:
            raise _Refused(401)
        if not self._known():
            raise _Refused(403)


def _json(value: Any) -> tuple[bytes, dict[str, str]]:
    return json.dumps(value).encode(), {"Content-Type": "application/json"}
