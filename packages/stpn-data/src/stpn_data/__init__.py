"""Video data sets, support-frame samplers, clip transforms and degradations for STPN.

Names are imported when first used, so that `import stpn_data` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_data.errors import DataError as DataError
    from stpn_data.errors import WorkerDied as WorkerDied
    from stpn_data.index import Boxes as Boxes
    from stpn_data.index import Video as Video
    from stpn_data.index import VideoIndex as VideoIndex
    from stpn_data.index import build_index as build_index
    from stpn_data.index import concat as concat
    from stpn_data.index import require_present as require_present

# public name -> module of this package that holds it; keep it in step with the imports above
_HOME = {
    "DataError": "errors",
    "WorkerDied": "errors",
    "Boxes": "index",
    "Video": "index",
    "VideoIndex": "index",
    "build_index": "index",
    "concat": "index",
    "require_present": "index",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_data' has no attribute {name!r}")
    return getattr(import_module(f"stpn_data.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
