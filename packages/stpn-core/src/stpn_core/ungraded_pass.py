"""What a pass without gradient needs around it inside a training step."""

from __future__ import annotations

import torch


def uncached_autocast(device: torch.device) -> torch.autocast:
    """Autocast as it stands, but keeping none of the weights it casts.

    Kept, weights cast without gradient would come back in the graded pass that follows, which would
    then leave them untrained (seen with torch 2.10).
    """
    return torch.autocast(
        device.type,
        dtype=torch.get_autocast_dtype(device.type),
        enabled=torch.is_autocast_enabled(device.type),
        cache_enabled=False,
    )
