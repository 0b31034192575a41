"""Which device to run on."""

from __future__ import annotations

import torch

from stpn_core.errors import InputError


def choose_device(name: str = "auto") -> torch.device:
    """`auto` is CUDA where there is one, else the CPU. Raises InputError for a device that is not
    there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r}: {str(error).splitlines()[0]}") from None
    return device


def requested_device(name: str) -> str | None:
    """What `init_distributed` takes: None for `auto`. Raises InputError as `choose_device` does."""
    return None if name == "auto" else str(choose_device(name))
