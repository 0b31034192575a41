"""Video instance segmentation with spatio-temporal prompts.

Names are imported when first used, so that `import stpn_vis` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_vis.build import build_segmenter as build_segmenter
    from stpn_vis.build_config import SegmenterConfig as SegmenterConfig
    from stpn_vis.predictions import FramePredictions as FramePredictions
    from stpn_vis.predictions import Target as Target
    from stpn_vis.segmenter import Segmenter as Segmenter
    from stpn_vis.weights import load_segmenter as load_segmenter

# Public name -> module of this package that holds it; keep it in step with the imports above.
_HOME: dict[str, str] = {
    "FramePredictions": "predictions",
    "Segmenter": "segmenter",
    "SegmenterConfig": "build_config",
    "Target": "predictions",
    "build_segmenter": "build",
    "load_segmenter": "weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_vis' has no attribute {name!r}")
    return getattr(import_module(f"stpn_vis.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
