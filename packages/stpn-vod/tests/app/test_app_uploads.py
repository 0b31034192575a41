from __future__ import annotations

import io
import shutil
from types import SimpleNamespace

import pytest

from stpn_vod.app.uploads import Refused, receive


def headers(length: object) -> dict[str, str]:
    return {"Content-Length": str(length)}


def test_a_body_becomes_a_file(tmp_path):
    data = bytes(range(256)) * 10_000  # more than one chunk
    body = io.BytesIO(data + b"the next request")
    path = receive(body, headers(len(data)), "my clip.MP4", tmp_path / "1", len(data))
    assert path == tmp_path / "1" / "clip.mp4"
    assert path.read_bytes() == data
    assert body.read() == b"the next request"


@pytest.mark.parametrize(
    ("name", "file"),
    [("../../etc/passwd", "clip"), ("a.mp4/../b", "clip"), ("x.mp4\0", "clip"), ("", "clip"),
     ("é.webm", "clip.webm"), ("a.tar.gz", "clip.gz"), (".mkv", "clip.mkv"), ("a.m p", "clip")],
)  # fmt: skip
def test_of_a_name_only_the_ending_is_used(tmp_path, name, file):
    assert receive(io.BytesIO(b"x"), headers(1), name, tmp_path / "1", 9).name == file


@pytest.mark.parametrize(
    ("given", "status", "why"),
    [
        ({}, 411, "must say its length"),
        (headers(-1), 411, "must say its length"),
        (headers("1e3"), 411, "must say its length"),
        (headers(5) | {"Transfer-Encoding": "chunked"}, 411, "must say its length"),
        (headers(11_000_000), 413, "the clip has 11 MB, the most is 10 MB"),
        (headers(0), 400, "empty"),
        (headers(6), 400, "ended early"),
    ],
)
def test_what_is_refused_leaves_nothing(tmp_path, given, status, why):
    with pytest.raises(Refused, match=why) as caught:
        receive(io.BytesIO(b"12345"), given, "a.mp4", tmp_path / "1", 10_000_000)
    assert caught.value.status == status
    assert not (tmp_path / "1").exists()


def test_a_full_disk_is_said_before_it_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100 << 20))
    with pytest.raises(Refused, match="too full") as caught:
        receive(io.BytesIO(b"12345"), headers(5), "a.mp4", tmp_path / "1", 10)
    assert caught.value.status == 507
    assert not (tmp_path / "1").exists()
