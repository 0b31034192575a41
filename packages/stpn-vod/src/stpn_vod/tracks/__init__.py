"""Which boxes of successive frames are the same object.

`link` takes one frame and the state of the frames before; `track_frames` does so for a stream.
`link_boxes` is `link` for arrays, and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_vod.tracks.linking import TrackState as TrackState
    from stpn_vod.tracks.linking import link_boxes as link_boxes
    from stpn_vod.tracks.linking import start_tracks as start_tracks
    from stpn_vod.tracks.stream import track_frames as track_frames
    from stpn_vod.tracks.tensors import link as link

_HOME = {
    "TrackState": "linking",
    "link": "tensors",
    "link_boxes": "linking",
    "start_tracks": "linking",
    "track_frames": "stream",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
