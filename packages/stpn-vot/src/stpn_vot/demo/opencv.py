"""OpenCV's own trackers on the same videos, where OpenCV is installed: what a classical method gives.

Only those that need no model file: MIL, and in wheels that still have them CSRT and KCF.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stpn_data.clips import read_frame
from stpn_data.index import VideoIndex
from stpn_vot.evaluate import Followed
from stpn_vot.targets import Target, target_of

NAMES = ("MIL", "CSRT", "KCF")


def opencv_trackers() -> dict[str, Callable[[], Any]]:
    """What makes a fresh tracker, by name; none without OpenCV or without any of them in it."""
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError:
        return {}
    found = {}
    for name in NAMES:
        for home in (cv2, getattr(cv2, "legacy", None)):
            make = getattr(home, f"Tracker{name}_create", None)
            if make is not None:
                found[f"OpenCV {name}"] = make
                break
    return found


def opencv_follow(
    make: Callable[[], Any], index: VideoIndex, stop: Callable[[], bool]
) -> Iterator[tuple[Target, Followed]]:
    """Each video's target and the tracker's way; nothing more once `stop` says yes.

    OpenCV takes whole pixels and says when it fails; the box then stays where it was.
    """
    cv2: Any = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    for video in range(index.num_videos):
        cv2.setRNGSeed(0)  # MIL draws at random; so each video has the same numbers in any order
        target = target_of(index, video)
        tracker, boxes, size = make(), [[*target.box]], (0, 0)
        seconds: list[float] = []
        for frame in target.frames:
            if stop():
                return
            image = read_frame(index, frame).permute(1, 2, 0).numpy()
            size = (image.shape[1], image.shape[0])
            picture = np.ascontiguousarray(image[..., ::-1])  # BGR
            begin = time.perf_counter()
            if not seconds:
                tracker.init(picture, tuple(round(value) for value in target.box))
            else:
                found, box = tracker.update(picture)
                boxes.append([float(v) for v in box] if found else boxes[-1])
            seconds.append(time.perf_counter() - begin)
        yield target, Followed(np.array(boxes, float), np.array(seconds), size)
