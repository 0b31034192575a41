from __future__ import annotations

import http.client
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_core.testing.children import fork, until, wait
from stpn_vod.app.arguments import AppArguments
from stpn_vod.app.serve import serving, settings_for
from stpn_vod.predict_config import PredictConfig

from .conftest import Client

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_without_weights_it_says_how_to_get_some(capsys):
    assert main(["vod", "app"]) == 2
    said = capsys.readouterr().err
    assert "stpn vod demo --out demo" in said
    assert "stpn vod app demo/stpn --twin demo/twin" in said


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--port", "70000"], "--port 70000"), (["--max-upload", "0"], "--max-upload 0"),
     (["--count", "0"], "count: must be 1 or more"), (["--twin", "none.safetensors"], "none.safet")],
)  # fmt: skip
def test_what_cannot_work_exits_2(trained, flags, said, capsys):
    assert main(["vod", "app", str(trained), *flags]) == 2
    assert said in capsys.readouterr().err


def test_the_page_starts_as_the_run_was_evaluated(trained, tmp_path):
    settings = settings_for(AppArguments(trained))
    assert (settings.policy, settings.stride, settings.short_side) == ("window", 2, 64)
    given = settings_for(AppArguments(trained, policy="online", short_side=48))
    assert (given.policy, given.stride, given.short_side) == ("online", 2, 48)
    (tmp_path / "model.safetensors").touch()
    assert settings_for(AppArguments(tmp_path / "model.safetensors")) == PredictConfig()


def test_a_port_that_is_taken(detector):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}: "), serving(detector, port=port):
            pass


def test_what_was_uploaded_goes_away(detector, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(detector) as address:
        client = Client(address)
        number = client.submit(clip.read_bytes(), short_side=40, max_frames=2)
        assert client.finished(number)["state"] == "done"
        assert [path.name[:9] for path in tmp_path.iterdir()] == ["stpn-app-"]
        assert any(path.suffix == ".mp4" for path in tmp_path.rglob("*"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="refused"):
        client.ask("GET", "/")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_cleanly_while_a_clip_runs(trained, clip, tmp_path, number, code):
    temporary, said = tmp_path / "tmp", tmp_path / "said.txt"
    temporary.mkdir()

    def work() -> int:
        import tempfile

        tempfile.tempdir = str(temporary)
        return main(["vod", "app", str(trained)])

    pid = fork(work, said)
    try:
        assert until(lambda: said.exists() and "Ctrl-C ends it" in said.read_text())
        client = Client(re.search(r"http://127\.0\.0\.1:\d+/", said.read_text())[0])
        for _ in range(3):
            client.submit(clip.read_bytes(), short_side=600)
        assert until(lambda: client.json("GET", "/api/jobs")[0]["state"] == "running")
        watcher = http.client.HTTPConnection(client.address[7:-1])  # a page that is open
        watcher.request("GET", "/api/jobs/3/events")
        os.kill(pid, number)
    finally:
        ended = wait(pid)
    watcher.close()
    text = said.read_text()
    assert ended == code, text
    assert "Traceback" not in text
    assert list(temporary.iterdir()) == []


def test_the_files_of_the_page_are_in_the_package():
    import stpn_vod.app

    folder = Path(stpn_vod.app.__file__).parent
    assert {"page.html", "page.css", "page.js", "view.js"} <= {p.name for p in folder.iterdir()}
