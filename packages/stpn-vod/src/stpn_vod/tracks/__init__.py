"""Which boxes of successive frames are the same object.

`link` takes one frame and the state of the frames before; `track_frames` does so for a stream.
"""

from __future__ import annotations

from stpn_vod.tracks.link import TrackState as TrackState
from stpn_vod.tracks.link import link as link
from stpn_vod.tracks.link import start_tracks as start_tracks
from stpn_vod.tracks.stream import track_frames as track_frames
