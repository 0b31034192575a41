"""Visual object tracking with spatio-temporal prompts.

Names are imported when first used, so that `import stpn_vot` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_vot.build import build_tracker as build_tracker
    from stpn_vot.build_config import TrackerConfig as TrackerConfig
    from stpn_vot.mixformer import MixFormer as MixFormer
    from stpn_vot.model_file import TrainedTracker as TrainedTracker
    from stpn_vot.model_file import load_trained as load_trained
    from stpn_vot.template_cache import TemplateCache as TemplateCache
    from stpn_vot.tracker import TrackResult as TrackResult
    from stpn_vot.tracker import TrackState as TrackState
    from stpn_vot.tracker import start_tracking as start_tracking
    from stpn_vot.tracker import track as track
    from stpn_vot.tracker import track_together as track_together
    from stpn_vot.tracking_config import TrackingConfig as TrackingConfig
    from stpn_vot.weights import load_tracker as load_tracker
    from stpn_vot.weights import save_tracker as save_tracker

# Public name -> module of this package that holds it; keep it in step with the imports above.
_HOME: dict[str, str] = {
    "MixFormer": "mixformer",
    "TemplateCache": "template_cache",
    "TrackResult": "tracker",
    "TrackState": "tracker",
    "TrackerConfig": "build_config",
    "TrackingConfig": "tracking_config",
    "TrainedTracker": "model_file",
    "build_tracker": "build",
    "load_tracker": "weights",
    "load_trained": "model_file",
    "save_tracker": "weights",
    "start_tracking": "tracker",
    "track": "tracker",
    "track_together": "tracker",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_vot' has no attribute {name!r}")
    return getattr(import_module(f"stpn_vot.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
