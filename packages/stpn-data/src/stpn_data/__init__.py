"""Video data sets, support-frame samplers, clip transforms and degradations for STPN.

Names are imported when first used, so that `import stpn_data` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_data.batch import Batch as Batch
    from stpn_data.batch import Clip as Clip
    from stpn_data.batch import collate as collate
    from stpn_data.batch import normalise as normalise
    from stpn_data.boxes import CleanBoxes as CleanBoxes
    from stpn_data.boxes import clean_boxes as clean_boxes
    from stpn_data.classes import VID_NAMES as VID_NAMES
    from stpn_data.classes import VID_WNIDS as VID_WNIDS
    from stpn_data.clips import ClipDataset as ClipDataset
    from stpn_data.datasets import open_dataset as open_dataset
    from stpn_data.errors import DataError as DataError
    from stpn_data.errors import WorkerDied as WorkerDied
    from stpn_data.holdout import hold_out as hold_out
    from stpn_data.image import decode_image as decode_image
    from stpn_data.image_header import image_size as image_size
    from stpn_data.index import Boxes as Boxes
    from stpn_data.index import Video as Video
    from stpn_data.index import VideoIndex as VideoIndex
    from stpn_data.index import build_index as build_index
    from stpn_data.index import concat as concat
    from stpn_data.index import require_present as require_present
    from stpn_data.loader import TrainingLoader as TrainingLoader
    from stpn_data.loader import training_loader as training_loader
    from stpn_data.masks import Instance as Instance
    from stpn_data.masks import Masks as Masks
    from stpn_data.masks import instances_of as instances_of
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
    from stpn_data.sequence import EvalFrame as EvalFrame
    from stpn_data.sequence import EvalVideo as EvalVideo
    from stpn_data.sequence import evaluation_videos as evaluation_videos
    from stpn_data.sequence import shard_videos as shard_videos
    from stpn_data.shots import shot_changed as shot_changed
    from stpn_data.subset import select_videos as select_videos
    from stpn_data.subset import without_crowds as without_crowds
    from stpn_data.support import OnlinePolicy as OnlinePolicy
    from stpn_data.support import UniformPolicy as UniformPolicy
    from stpn_data.support import WindowPolicy as WindowPolicy
    from stpn_data.support import bilateral as bilateral
    from stpn_data.support import online as online
    from stpn_data.support import parse_policy as parse_policy
    from stpn_data.support import uniform as uniform
    from stpn_data.support import window as window
    from stpn_data.transforms import EvalResize as EvalResize
    from stpn_data.transforms import TrainTransform as TrainTransform
    from stpn_data.video import VideoFrame as VideoFrame
    from stpn_data.video import VideoSource as VideoSource
    from stpn_data.video import open_video as open_video
    from stpn_data.video_write import write_video as write_video

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
    "Instance": "masks",
    "Masks": "masks",
    "instances_of": "masks",
    "CleanBoxes": "boxes",
    "clean_boxes": "boxes",
    "VID_NAMES": "classes",
    "VID_WNIDS": "classes",
    "hold_out": "holdout",
    "select_videos": "subset",
    "without_crowds": "subset",
    "decode_image": "image",
    "image_size": "image_header",
    "VideoFrame": "video",
    "VideoSource": "video",
    "open_video": "video",
    "write_video": "video_write",
    "open_dataset": "datasets",
    "read_imagenet_vid": "readers.imagenet_vid",
    "read_imagenet_det": "readers.imagenet_det",
    "read_coco_vid": "readers.coco_vid",
    "read_own": "readers.own",
    "read_frames_folder": "readers.own",
    "read_youtube_vis": "readers.youtube_vis",
    "read_got10k": "readers.got10k",
    "read_lasot": "readers.lasot",
    "read_trackingnet": "readers.trackingnet",
    "read_coco_targets": "readers.coco_targets",
    "OnlinePolicy": "support",
    "UniformPolicy": "support",
    "WindowPolicy": "support",
    "bilateral": "support",
    "online": "support",
    "parse_policy": "support",
    "uniform": "support",
    "window": "support",
    "shot_changed": "shots",
    "Batch": "batch",
    "Clip": "batch",
    "collate": "batch",
    "normalise": "batch",
    "EvalResize": "transforms",
    "TrainTransform": "transforms",
    "ClipDataset": "clips",
    "TrainingLoader": "loader",
    "training_loader": "loader",
    "EvalFrame": "sequence",
    "EvalVideo": "sequence",
    "evaluation_videos": "sequence",
    "shard_videos": "sequence",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_data' has no attribute {name!r}")
    return getattr(import_module(f"stpn_data.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
