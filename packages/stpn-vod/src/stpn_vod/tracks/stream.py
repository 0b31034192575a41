"""Tracks over a stream of detection results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import Tensor

from stpn_data.shots import shot_changed
from stpn_vod.link_config import LinkConfig
from stpn_vod.stream import FrameResult
from stpn_vod.tracks.linking import start_tracks
from stpn_vod.tracks.tensors import link


def track_frames(
    results: Iterable[FrameResult], config: LinkConfig | None = None, *, score: float = 0.5
) -> Iterator[FrameResult]:
    """The same results, in order, with the objects that belong to a track and their `ids`.

    results: of one video, with weak boxes, as `detect_frames` gives them. score: every object above
    it belongs to a track; weaker ones stay where they continue one.

    ```
    for result in track_frames(detect_frames(detector.model, video, OnlinePolicy(14, 8))):
        print(result.ids, result.found)
    ```
    """
    state = start_tracks(config, score)
    previous: Tensor | None = None
    for result in results:
        image = result.frame.image
        if state.config.cuts:
            cut = previous is not None and shot_changed(previous, image)
            previous = image.clone()  # the source may use its buffer again
        else:
            cut = False
        ids, state = link(state, result.found, new_shot=cut)
        tracked = ids >= 0
        yield replace(result, found=result.found.take(tracked), ids=ids[tracked])
