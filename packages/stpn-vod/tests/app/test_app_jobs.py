from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stpn_core.errors import InputError
from stpn_core.testing.children import until
from stpn_vod.app import jobs as module
from stpn_vod.app.jobs import Job, JobQueue, QueueFull
from stpn_vod.app.options import Options
from stpn_vod.predict import Stopped
from stpn_vod.predict_config import PredictConfig


class Bench:
    """A queue whose jobs run until they are let go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.go = threading.Event()
        self.ran: list[str] = []
        self.queue = JobQueue(self._run)

    def _run(self, job: Job) -> None:
        self.ran.append(job.name)
        if job.name == "bad":
            raise InputError(f"{job.clip}: not a video")
        if job.name == "bug":
            raise KeyError("lost\nmore")
        while not self.go.wait(0.005):
            if job.asked_to_stop():
                raise Stopped

    def add(self, name: str) -> Job:
        number = self.queue.number()
        clip = self.folder / str(number) / "clip.mp4"
        clip.parent.mkdir()
        clip.write_bytes(b"")
        job = Job(number, name, clip, Options(PredictConfig()))
        self.queue.add(job)
        return job


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.queue.close()


def test_one_after_the_other(bench):
    jobs = [bench.add(name) for name in "abc"]
    assert until(lambda: jobs[0].state == "running")
    assert [job.state for job in jobs[1:]] == ["queued", "queued"]
    bench.go.set()
    assert until(lambda: all(job.is_over for job in jobs))
    assert bench.ran == ["a", "b", "c"]
    assert {job.state for job in jobs} == {"done"}


def test_one_that_fails_does_not_stop_the_next(bench, caplog):
    bench.go.set()
    jobs = [bench.add(name) for name in ("bad", "bug", "good")]
    assert until(lambda: jobs[2].is_over)
    assert [job.state for job in jobs] == ["failed", "failed", "done"]
    assert jobs[0].error == "bad: not a video"  # the clip's own name, not where it lies
    assert jobs[1].error.startswith("KeyError: ")
    assert "Traceback" in caplog.text  # of what nobody foresaw the terminal shows all
    assert "not a video" not in caplog.text


def test_cancelled_while_it_waits_or_runs(bench):
    first, second, third = (bench.add(name) for name in "abc")
    assert until(lambda: first.state == "running")
    second.cancel()
    assert second.state == "cancelled"
    first.cancel()
    assert until(lambda: third.state == "running")
    assert first.state == "cancelled"
    assert bench.ran == ["a", "c"]


def test_what_is_removed_leaves_no_file(bench):
    first, second = bench.add("a"), bench.add("b")
    assert until(lambda: first.state == "running")
    bench.queue.remove(second.number)
    assert not second.folder.exists()
    bench.queue.remove(first.number)
    assert until(lambda: not first.folder.exists())
    assert bench.queue.all() == []


def test_only_so_many_may_wait(bench, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    first = bench.add("a")
    assert until(lambda: first.state == "running")
    bench.add("b")
    last = bench.add("c")
    with pytest.raises(QueueFull, match="2 clips are waiting"):
        bench.add("d")
    last.cancel()
    bench.add("d")


def test_old_ones_make_room(bench, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    bench.go.set()
    jobs = []
    for name in "abcd":
        jobs.append(bench.add(name))
        assert until(lambda: jobs[-1].is_over)
    assert [job.name for job in bench.queue.all()] == ["b", "c", "d"]
    assert [job.folder.exists() for job in jobs] == [False, True, True, True]


def test_closing_stops_the_worker(tmp_path):
    bench = Bench(tmp_path)
    first, second = bench.add("a"), bench.add("b")
    assert until(lambda: first.state == "running")
    bench.queue.close()
    assert (first.state, second.state) == ("cancelled", "cancelled")
    assert bench.ran == ["a"]


def test_a_watcher_wakes_when_something_changes(bench):
    job = bench.add("a")
    assert until(lambda: job.state == "running")
    known = job.snapshot()
    assert job.wait(known, 0.01) == known
    threading.Timer(0.05, job.count_frame).start()
    assert job.wait(known, 60)["taken"] == 1
