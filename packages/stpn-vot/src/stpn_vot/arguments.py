"""What each verb of `stpn vot` takes; tyro turns these into flags and help texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class EvalArguments:
    """GOT-10k's numbers of any tracker's result files."""

    results: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RESULTS")]]
    """Folder with a folder per sequence, as the got10k toolkit writes them."""
    data: Path
    """Folder of GOT-10k."""
    split: str = "val"
    sequences: bool = False
    """Also a line for each sequence."""
    out: Path | None = None
    """Write the numbers there as JSON, too."""
