"""Video object detection with spatio-temporal prompts.

Names are imported when first used, so that `import stpn_vod` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_vod.build import build_detector as build_detector
    from stpn_vod.build_config import DetectorConfig as DetectorConfig
    from stpn_vod.config import Recipe as Recipe
    from stpn_vod.config import twin as twin
    from stpn_vod.detections import Detections as Detections
    from stpn_vod.detector import FasterRCNN as FasterRCNN
    from stpn_vod.model_file import TrainedDetector as TrainedDetector
    from stpn_vod.model_file import load_trained as load_trained
    from stpn_vod.predict import detect_video as detect_video
    from stpn_vod.predict_config import PredictConfig as PredictConfig
    from stpn_vod.recipes import get_recipe as get_recipe
    from stpn_vod.selsa_detector import SelsaDetector as SelsaDetector
    from stpn_vod.stream import detect_frames as detect_frames
    from stpn_vod.stream import detect_step as detect_step
    from stpn_vod.stream import finish_detection as finish_detection
    from stpn_vod.stream import start_detection as start_detection
    from stpn_vod.weights import load_detector as load_detector

# Public name -> module of this package that holds it; keep it in step with the imports above.
# A function named like its module (train, evaluate, predict) is imported from there.
_HOME = {
    "DetectorConfig": "build_config",
    "Detections": "detections",
    "FasterRCNN": "detector",
    "PredictConfig": "predict_config",
    "Recipe": "config",
    "SelsaDetector": "selsa_detector",
    "TrainedDetector": "model_file",
    "build_detector": "build",
    "detect_frames": "stream",
    "detect_step": "stream",
    "detect_video": "predict",
    "finish_detection": "stream",
    "get_recipe": "recipes",
    "load_detector": "weights",
    "load_trained": "model_file",
    "start_detection": "stream",
    "twin": "config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_vod' has no attribute {name!r}")
    return getattr(import_module(f"stpn_vod.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
