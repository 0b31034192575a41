"""The run directory: where things lie in it, and the lock."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

from stpn_core.errors import InputError
from stpn_core.runs.durable import sweep, sync_path
from stpn_core.runs.lock import FileLock

_STEP = re.compile(r"step-(\d{8,})")


class RunDir:
    """A run directory. Making the object touches nothing; entering it creates, locks and sweeps.

    ```
    with RunDir("runs/a") as run:       # RunLocked (exit 5) if another process is in it
        save_checkpoint(run, 100, state)
    ```
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._lock = FileLock(self.path / ".lock")

    def __enter__(self) -> RunDir:
        try:
            new = [p for p in (self.checkpoints, self.path, *self.path.parents) if not p.exists()]
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            for made in new:
                sync_path(made.parent)
            self._lock.acquire()
            # Holding the lock means that whoever wrote these is gone.
            sweep(self.path)
            sweep(self.checkpoints)
        except OSError as error:
            self._lock.release()
            raise InputError(
                f"cannot use {self.path} as a run directory: {error.strerror or error}"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def require_lock(self) -> None:
        """Refuse to write without the lock, which also stops forked children from writing."""
        if not self._lock.held:
            raise RuntimeError(f"{self.path} is not locked by this process: use `with RunDir(...)`")

    def checkpoint(self, step: int) -> Path:
        """Directory of the checkpoint of `step`, whether or not it is there."""
        return self.checkpoints / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Every step that has a directory, complete or not, ascending."""
        if not self.checkpoints.is_dir():
            return []
        matches = (_STEP.fullmatch(p.name) for p in self.checkpoints.iterdir() if p.is_dir())
        return sorted(int(match[1]) for match in matches if match)
