"""Settings of tracking; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stpn_core.settings import STRICT, number_faults, refuse

_COUNTS = ("interval", "slots", "support_count", "support_stride", "patience")
_POSITIVE = ("template_factor", "search_factor", "clip_margin", "wide_factor")
_SHARES = ("decay", "threshold", "lost_below")


@dataclass(frozen=True)
class TrackingConfig:
    """How a target is followed. Defaults are those of MixFormer's released command for the weights
    trained on GOT-10k from ImageNet-22k, with STPN's support frames."""

    __pydantic_config__ = STRICT

    template_size: int = 0
    """Side of a template crop in pixels; 0 for the weights' own."""
    search_size: int = 0
    """Side of a search crop in pixels; 0 for the weights' own."""
    template_factor: float = 2.0
    """Side of a template crop in root areas of the box."""
    search_factor: float = 4.55
    """Side of a search crop in root areas of the box."""
    clip_margin: float = 10
    """Boxes are at least so many pixels wide and high, inside the frame."""
    interval: int = 10
    """Frames between updates of the online templates."""
    slots: int = 2
    """Online templates at most."""
    decay: float = 0.98
    """What the score of the best frame so far is multiplied by each frame."""
    threshold: float = 0.5
    """Score above which a frame may become a template or a support frame, and a lost target counts
    as found again."""
    prompts: bool = True
    """Use the prompts of weights that have them; off is plain MixFormer."""
    support: Literal["clean", "reuse"] = "clean"
    """Support frames pass the network once more without prompts, as in training, or their prompted
    maps are kept, which costs nothing."""
    support_count: int = 7
    """Support frames at most."""
    support_stride: int = 8
    """Frames from one support frame to the next."""
    lost_below: float = 0.25
    """Score below which a frame does not show the target."""
    patience: int = 5
    """Frames in a row without the target until it is lost."""
    redetect: bool = False
    """Look for a lost target: where it was last seen, around there, in the whole frame, in turn."""
    wide_factor: float = 2.0
    """How many times wider `redetect` looks around."""


def check_tracking(config: TrackingConfig) -> None:
    """Raise InputError with a line for every number of `config` that cannot work."""
    sizes = ("template_size", "search_size")
    faults = [
        *number_faults(config, sizes, "a multiple of 16", lambda x: x >= 0 and x % 16 == 0),
        *number_faults(config, _COUNTS, "1 or more", lambda x: x >= 1),
        *number_faults(config, _POSITIVE, "greater than 0", lambda x: x > 0),
        *number_faults(config, _SHARES, "from 0 to 1", lambda x: 0 <= x <= 1),
    ]
    refuse("tracking", faults)
