"""Random number generators: seeded together, saved and restored together."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seed python, numpy and torch (all devices). Ranks get streams of their own."""
    stream = int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
    random.seed(stream)
    np.random.seed(stream)  # noqa: NPY002  # libraries draw from it; our own code does not
    torch.manual_seed(stream)


def capture_rng(generators: Mapping[str, torch.Generator] | None = None) -> dict[str, Any]:
    """State of every generator this process draws from, as plain values and tensors.

    One per rank: gather them with `gather_values` and save the list. `generators` are the caller's
    own by name, such as that of a loader. Of the GPUs only the current one is captured.
    """
    version, internal, gauss = random.getstate()
    legacy: Any = np.random.get_state(legacy=False)  # noqa: NPY002
    state: dict[str, Any] = {
        "python": [version, list(internal), gauss],
        "numpy": [
            str(legacy["bit_generator"]),
            legacy["state"]["key"].tolist(),
            int(legacy["state"]["pos"]),
            int(legacy["has_gauss"]),
            float(legacy["gauss"]),
        ],
        "torch": torch.get_rng_state(),
        "generators": {name: g.get_state() for name, g in (generators or {}).items()},
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_rng(
    state: Mapping[str, Any], generators: Mapping[str, torch.Generator] | None = None
) -> None:
    """Put back what `capture_rng` gave; the named `generators` must be those that were captured.

    A state from a machine without a GPU leaves the GPU's generator alone, and the reverse.
    """
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, key, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(key, np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    given, saved = set(generators or {}), set(state["generators"])
    if given != saved:
        raise ValueError(f"generators {sorted(given)} given, {sorted(saved)} saved")
    for name, generator in (generators or {}).items():
        generator.set_state(state["generators"][name])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
