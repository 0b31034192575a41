"""Readers: each turns one layout on disk into a `VideoIndex`. They copy nothing and decode nothing
(but video files, once, see `stpn_data.frame_cache`). `open_dataset` finds out which one to use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_data.datasets import open_dataset as open_dataset
    from stpn_data.readers.coco_targets import read_coco_targets as read_coco_targets
    from stpn_data.readers.coco_vid import read_coco_vid as read_coco_vid
    from stpn_data.readers.got10k import read_got10k as read_got10k
    from stpn_data.readers.imagenet_det import read_imagenet_det as read_imagenet_det
    from stpn_data.readers.imagenet_vid import read_imagenet_vid as read_imagenet_vid
    from stpn_data.readers.lasot import read_lasot as read_lasot
    from stpn_data.readers.own import read_frames_folder as read_frames_folder
    from stpn_data.readers.own import read_own as read_own
    from stpn_data.readers.trackingnet import read_trackingnet as read_trackingnet
    from stpn_data.readers.youtube_vis import read_youtube_vis as read_youtube_vis

_HOME = {
    "open_dataset": "stpn_data.datasets",
    "read_coco_targets": "stpn_data.readers.coco_targets",
    "read_coco_vid": "stpn_data.readers.coco_vid",
    "read_frames_folder": "stpn_data.readers.own",
    "read_got10k": "stpn_data.readers.got10k",
    "read_imagenet_det": "stpn_data.readers.imagenet_det",
    "read_imagenet_vid": "stpn_data.readers.imagenet_vid",
    "read_lasot": "stpn_data.readers.lasot",
    "read_own": "stpn_data.readers.own",
    "read_trackingnet": "stpn_data.readers.trackingnet",
    "read_youtube_vis": "stpn_data.readers.youtube_vis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_data.readers' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
