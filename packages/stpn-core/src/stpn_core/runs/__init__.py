"""Run directories: one process at a time, checkpoints that a crash cannot lose.

    RUN/
      .lock                       held (flock) by the process that trains here
      config.json                 the exact configuration
      best.json                   which step scored best
      metrics.jsonl               one line per logged step
      checkpoints/step-00000100/  state.pt, other files, manifest.json (sha256 of each)
      checkpoints/set-aside/      checkpoints that a resumed run left behind; never deleted

Reading needs no lock. Saving, resuming and recording need it, and are for rank 0 alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_core.runs.best import Best, read_best, record_best
    from stpn_core.runs.checkpoint import (
        RunCheckpoint,
        latest_complete,
        load_checkpoint,
        save_checkpoint,
    )
    from stpn_core.runs.config import load_config, save_config
    from stpn_core.runs.durable import replace_file, unfinished_file
    from stpn_core.runs.manifest import CheckpointDamaged, verify
    from stpn_core.runs.resume import resume_from
    from stpn_core.runs.run_dir import RunDir
    from stpn_core.runs.usable_weights import MODEL_FILE, weights_file

_HOMES = {
    "Best": "best",
    "CheckpointDamaged": "manifest",
    "MODEL_FILE": "usable_weights",
    "RunCheckpoint": "checkpoint",
    "RunDir": "run_dir",
    "latest_complete": "checkpoint",
    "load_checkpoint": "checkpoint",
    "load_config": "config",
    "read_best": "best",
    "record_best": "best",
    "replace_file": "durable",
    "unfinished_file": "durable",
    "resume_from": "resume",
    "save_checkpoint": "checkpoint",
    "save_config": "config",
    "verify": "manifest",
    "weights_file": "usable_weights",
}

__all__ = [
    "MODEL_FILE",
    "Best",
    "CheckpointDamaged",
    "RunCheckpoint",
    "RunDir",
    "latest_complete",
    "load_checkpoint",
    "load_config",
    "read_best",
    "record_best",
    "replace_file",
    "resume_from",
    "save_checkpoint",
    "save_config",
    "unfinished_file",
    "verify",
    "weights_file",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
