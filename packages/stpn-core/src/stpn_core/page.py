"""What a page with results says of where they were made, and how it holds its pictures."""

from __future__ import annotations

import base64
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version

import torch


def environment(packages: Sequence[str]) -> dict[str, str]:
    """Date, machine and versions of these distributions, in that order."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {
        "date": date.today().isoformat(),
        "machine": f"{device or platform.machine()}, {torch.get_num_threads()} threads",
        "Python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def as_base64(data: bytes) -> str:
    """A file as it stands in a page: `src="data:image/png;base64,…"`."""
    return base64.b64encode(data).decode()
