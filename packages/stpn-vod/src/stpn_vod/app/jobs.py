"""Clips that wait, run and are done: one worker thread, one clip at a time."""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from stpn_core.errors import InputError
from stpn_data.video_reading import Stopped
from stpn_vod.app.options import Options

log = logging.getLogger(__name__)
State = Literal["queued", "running", "done", "cancelled", "failed"]
OVER: tuple[State, ...] = ("done", "cancelled", "failed")
MAX_WAITING = 8  # clips; more are refused
MAX_KEPT = 12  # finished clips whose pictures stay on disk; the oldest go first


class QueueFull(InputError):
    """As many clips wait as may."""


class Job:
    """One clip: what was asked, how far it is, what was found. Threads share it: the worker writes,
    answers to the page read.

    records: one per answered frame, as `detect.run_job` adds them. taken: frames read so far, ahead
    of the records where the policy looks ahead.
    """

    def __init__(self, number: int, name: str, clip: Path, options: Options) -> None:
        self.number = number
        self.name = name
        self.clip = clip
        self.options = options
        self.state: State = "queued"
        self.records: list[dict[str, Any]] = []
        self.taken = 0
        self.total: int | None = None
        self.fps = 0.0
        self.status = ""
        self.problems: tuple[str, ...] = ()
        self.error = ""
        self.rendering = threading.Lock()
        self._stop = threading.Event()
        self._changed = threading.Condition()

    @property
    def folder(self) -> Path:
        """Where everything about this clip lies."""
        return self.clip.parent

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in OVER

    def asked_to_stop(self) -> bool:
        """Whether somebody cancelled it."""
        return self._stop.is_set()

    def picture(self, frame: int) -> Path:
        """File of the picture that the page shows of a frame."""
        return self.folder / f"{frame:06d}.jpg"

    def begin(self, total: int | None, fps: float) -> None:
        """The clip is open: a guess at its length, and its frames per second."""
        with self._changed:
            self.total, self.fps = total, fps
            self._changed.notify_all()

    def count_frame(self) -> None:
        """One more frame was read and encoded."""
        with self._changed:
            self.taken += 1
            self._changed.notify_all()

    def add(self, record: dict[str, Any]) -> None:
        """One more frame is answered."""
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def notes(self, status: str, problems: Sequence[str]) -> None:
        """What the reader says about the clip; see `VideoSource`."""
        self.status, self.problems = status, tuple(problems)

    def end(self, state: State, error: str = "") -> None:
        """It is over."""
        with self._changed:
            if not self.is_over:
                self.state, self.error = state, error
            self._changed.notify_all()

    def start(self) -> bool:
        """It is its turn; False if it was cancelled while it waited."""
        with self._changed:
            if self.state != "queued":
                return False
            self.state = "running"
            self._changed.notify_all()
        return True

    def cancel(self) -> None:
        """End it before its next frame; nothing happens to one that is over."""
        self._stop.set()
        with self._changed:
            waiting = self.state == "queued"
        if waiting:
            self.end("cancelled")

    def wait(self, known: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The snapshot as soon as it is another one than `known`, or after `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self.snapshot() != known, seconds)
            return self.snapshot()

    def snapshot(self) -> dict[str, Any]:
        """Everything but the records, for the page."""
        return {
            "number": self.number,
            "name": self.name,
            "state": self.state,
            "taken": self.taken,
            "answered": len(self.records),
            "total": self.total,
            "fps": self.fps,
            "status": self.status,
            "problems": list(self.problems),
            "error": self.error,
        }


class JobQueue:
    """Jobs in the order they came. `run` does one; its exceptions fail that job, not the queue."""

    def __init__(self, run: Callable[[Job], None]) -> None:
        self._run = run
        self._jobs: dict[int, Job] = {}
        self._numbers = iter(range(1, 1_000_000_000))
        self._closed = False
        self._changed = threading.Condition()
        self._worker = threading.Thread(target=self._work, name="stpn-app-worker", daemon=True)
        self._worker.start()

    def number(self) -> int:
        """A number that no job has had."""
        with self._changed:
            return next(self._numbers)

    def check_room(self) -> None:
        """Raise QueueFull if no further clip may wait."""
        with self._changed:
            waiting = sum(job.state == "queued" for job in self._jobs.values())
        if waiting >= MAX_WAITING:
            raise QueueFull(f"{waiting} clips are waiting already; cancel one, or try again later")

    def add(self, job: Job) -> None:
        """Take a job. Raises QueueFull if too many wait."""
        self.check_room()
        with self._changed:
            over = [old for old in self._jobs.values() if old.is_over]
            self._jobs[job.number] = job
            self._changed.notify_all()
        for old in over[: max(0, len(over) - MAX_KEPT)]:
            self.remove(old.number)

    def all(self) -> list[Job]:
        """Every job that was not removed, oldest first."""
        with self._changed:
            return list(self._jobs.values())

    def get(self, number: int) -> Job | None:
        """One of them."""
        with self._changed:
            return self._jobs.get(number)

    def remove(self, number: int) -> None:
        """Forget a job and delete its files, at once or when it has stopped."""
        with self._changed:
            job = self._jobs.pop(number, None)
        if job is not None:
            running = job.state == "running"
            job.cancel()
            if not running:
                shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """Cancel what runs and waits, and wait until the worker has stopped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for job in self.all():
            job.cancel()
        self._worker.join()

    def _next(self) -> Job | None:
        with self._changed:
            while not self._closed:
                for job in self._jobs.values():
                    if job.state == "queued":
                        return job
                self._changed.wait()
        return None

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if job.start():
                self._do(job)
                if self.get(job.number) is None:  # removed while it ran
                    shutil.rmtree(job.folder, ignore_errors=True)

    def _do(self, job: Job) -> None:
        try:
            self._run(job)
        except Stopped:
            job.end("cancelled")
        except Exception as error:
            if not isinstance(getattr(error, "exit_code", None), int):
                log.exception("%s", job.name)
            job.end("failed", explain(error, job))
        else:
            job.end("done")


def explain(error: Exception, job: Job) -> str:
    """What the page says about an exception: the clip by its own name, the first line of others'
    texts."""
    text = str(error).replace(str(job.clip), job.name)
    if isinstance(getattr(error, "exit_code", None), int):
        return text
    with contextlib.suppress(IndexError):
        text = text.splitlines()[0]
    return f"{type(error).__name__}: {text} (the terminal that runs the app shows more)"
