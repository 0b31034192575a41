"""Tracks over a stream of an exported model's results: `stpn_vod.tracks.stream` in numpy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stpn_data.arrays.shots import shot_changed
from stpn_vod.link_config import LinkConfig
from stpn_vod.runner.found import FrameResult
from stpn_vod.tracks.linking import link_boxes, start_tracks


def track_frames(
    results: Iterable[FrameResult], config: LinkConfig, score: float
) -> Iterator[FrameResult]:
    """The same results, in order, with the objects that belong to a track and their `ids`.

    results: of one video, with weak boxes. score: every object above it belongs to a track; weaker
    ones stay where they continue one.
    """
    state = start_tracks(config, score)
    previous: NDArray[np.uint8] | None = None
    for result in results:
        image, found = result.frame.image, result.found
        cut = config.cuts and previous is not None and shot_changed(previous, image)
        previous = image
        ids, state = link_boxes(state, found.boxes, found.scores, found.labels, new_shot=cut)
        tracked = ids >= 0
        yield replace(result, found=found.take(tracked), ids=ids[tracked])
