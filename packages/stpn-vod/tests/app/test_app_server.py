from __future__ import annotations

import json
import re
import socket
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from PIL import Image

from stpn_data.video import open_video
from stpn_vod.predict import predict

from .conftest import FRAMES, SETTINGS


@pytest.fixture(scope="module")
def job(client, clip) -> int:
    """A finished one."""
    number = client.submit(clip.read_bytes(), clip.name)
    assert client.finished(number)["state"] == "done"
    return number


def test_the_page_and_its_parts(client):
    status, headers, page = client.ask("GET", "/")
    assert status == 200
    parts = re.findall(r'(?:src|href)="(/[^"]*)"', page.decode())
    assert parts == ["/page.css", "/page.js"]
    for part in (*parts, "/view.js"):
        status, own, data = client.ask("GET", part)
        assert status == 200, part
        assert data
        assert own["Content-Type"].startswith(("text/css", "text/javascript"))
        assert not re.search(rb"https?://", data)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_the_page_knows_beforehand(client, detector):
    info = client.json("GET", "/api/info")
    assert [lane["key"] for lane in info["lanes"]] == ["prompts", "off", "twin"]
    assert info["classes"] == list(detector.classes)
    assert (info["settings"]["policy"], info["settings"]["short_side"]) == ("window", 40)


def test_a_frame_for_a_frame(client, job):
    events = client.events(job)
    frames = [data for kind, data in events if kind == "frame"]
    assert [frame["frame"] for frame in frames] == list(range(FRAMES))
    assert events[-1] == ("end", {})
    last = [data for kind, data in events if kind == "job"][-1]
    assert (last["state"], last["status"], last["name"]) == ("done", "complete", "street café.mp4")
    assert (last["taken"], last["answered"], last["total"]) == (FRAMES, FRAMES, FRAMES)
    later = [data["frame"] for kind, data in client.events(job, after=9) if kind == "frame"]
    assert later == [9, 10, 11]
    _, _, data = client.ask("GET", f"/api/jobs/{job}/events", **{"Last-Event-ID": "10"})
    assert data.count(b"event: frame") == 1


def test_the_lines_are_those_of_predict(client, job, detector, clip, tmp_path):
    predict(detector, clip, tmp_path, SETTINGS)
    lines = (tmp_path / "detections.jsonl").read_text().splitlines()
    expected = [json.loads(line) for line in lines]
    path = f"/api/jobs/{job}/detections.jsonl?score={SETTINGS.score}"
    _, headers, data = client.ask("GET", path)
    rows = [json.loads(line) for line in data.decode().splitlines()]
    assert [row.pop("lane") for row in rows] == ["prompts", "off", "twin"] * FRAMES
    assert rows[::3] == expected
    assert rows[::3] != rows[1::3]
    assert "street%20caf%C3%A9.detections.jsonl" in headers["Content-Disposition"]
    _, _, more = client.ask("GET", f"/api/jobs/{job}/detections.jsonl?score=0.05")
    assert len(more) > len(data)


def test_pictures_and_the_annotated_clip(client, job, tmp_path):
    status, headers, data = client.ask("GET", f"/api/jobs/{job}/frames/3.jpg")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(BytesIO(data)).size == (72, 44)
    status, headers, data = client.ask("GET", f"/api/jobs/{job}/annotated.mp4?score=0.1")
    assert (status, headers["Content-Type"]) == (200, "video/mp4")
    (tmp_path / "a.mp4").write_bytes(data)
    with open_video(tmp_path / "a.mp4") as video:
        frames = list(video)
    assert len(frames) == FRAMES
    assert frames[0].image.shape == (3, 44, 3 * 72)


def test_settings_of_a_clip(client, clip):
    number = client.submit(
        clip.read_bytes(), policy="uniform", count=3, max_frames=5, kind="noise", severity=1
    )
    frames = [data for kind, data in client.events(number) if kind == "frame"]
    assert [frame["spoiled"] for frame in frames] == [True] * 5
    assert [frame["lanes"][0]["prompted"] for frame in frames] == [True] * 5
    assert [frame["lanes"][1]["prompted"] for frame in frames] == [False] * 5


@pytest.mark.parametrize("kind", ["page", "cut", "text"])
def test_a_damaged_clip_says_so_under_its_own_name(client, clip, kind):
    whole = clip.read_bytes()
    data = {"page": b"<html>" * 99, "cut": whole[: len(whole) // 3], "text": b"hello"}[kind]
    end = client.finished(client.submit(data, "<b>mine.mp4"))
    assert end["state"] == "failed"
    assert end["error"].startswith("<b>mine.mp4: ")
    assert "stpn-app-" not in end["error"]


def test_settings_that_cannot_work_are_refused(client, clip):
    status, _, data = client.ask("POST", "/api/jobs?count=0&name=a.mp4", clip.read_bytes())
    assert status == 400
    assert "count: must be 1 or more" in json.loads(data)["error"]


def test_a_clip_that_is_too_long_is_refused(client):
    before = client.json("GET", "/api/jobs")
    status, headers, data = client.ask("POST", "/api/jobs?name=a.mp4", bytes(1_000_001))
    assert status == 413
    assert "the most is 1 MB" in json.loads(data)["error"]
    assert headers["Connection"] == "close"
    assert client.json("GET", "/api/jobs") == before


def test_cancel_and_remove(client, clip):
    number = client.submit(clip.read_bytes())
    assert client.json("POST", f"/api/jobs/{number}/cancel") == {}
    assert client.finished(number)["state"] in ("cancelled", "done")
    assert client.json("DELETE", f"/api/jobs/{number}") == {}
    assert number not in [job["number"] for job in client.json("GET", "/api/jobs")]
    assert client.ask("GET", f"/api/jobs/{number}/events")[0] == 404
    assert client.ask("POST", f"/api/jobs/{number}/cancel")[0] == 404


def test_other_sites_are_refused(client, clip):
    data = clip.read_bytes()
    before = client.json("GET", "/api/jobs")
    assert client.ask("GET", "/", Host="rebound.example")[0] == 403
    assert client.ask("POST", "/api/jobs", data, Origin="https://evil.example")[0] == 403
    assert client.ask("POST", "/api/jobs", data, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert client.json("GET", "/api/jobs") == before


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/../secret", "/api/jobs/999999/events", "/api/jobs/x/frames/0.jpg",
     "/api/jobs/1/frames/..%2fclip.mp4", "/api/jobs/²/events"],
)  # fmt: skip
def test_what_is_not_there(client, job, path):
    from urllib.parse import quote

    assert client.ask("GET", quote(path, safe="/.%"))[0] == 404


def test_a_score_must_be_a_number(client, job):
    assert client.ask("GET", f"/api/jobs/{job}/detections.jsonl?score=high")[0] == 400


def test_only_the_loopback_interface_listens(client):
    port = urlsplit(client.address).port
    with socket.create_connection(("127.0.0.1", port), timeout=10):
        pass  # control
    with socket.socket() as probe:  # any other address of this machine is free
        probe.bind(("127.0.0.2", port))
