"""Which file holds the weights to use: of a run, of a checkpoint, or a file itself."""

from __future__ import annotations

from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.hub.address import hub_address
from stpn_core.runs.best import read_best
from stpn_core.runs.checkpoint import latest_complete
from stpn_core.runs.manifest import verify
from stpn_core.runs.run_dir import RunDir

MODEL_FILE = "model.safetensors"
"""Name of the weights to use inside a checkpoint of a run."""


def weights_file(path: str | Path) -> Path:
    """The weights that `path` stands for: itself, those of a checkpoint or a saved model, or those
    of a run directory: of its best checkpoint, or of its last if none was validated. A repository
    on the Hub, `hf://owner/name[@revision]`, is downloaded.

    Checkpoints of a run are verified first. Raises InputError if there are none, or the best is
    damaged, or as `stpn_core.hub.download` does.
    """
    address = hub_address(path)
    if address is not None and not Path(path).exists():
        from stpn_core.hub.transfer import download

        path = download(address)
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / MODEL_FILE).is_file():
        return path / MODEL_FILE
    run = RunDir(path)
    best = read_best(run)
    if best is not None:
        verify(run.checkpoint(best.step), best.step)
        return run.checkpoint(best.step) / MODEL_FILE
    step = latest_complete(run)
    if step is None:
        raise InputError(f"{path}: a folder without a complete checkpoint; name a weights file")
    return run.checkpoint(step) / MODEL_FILE
