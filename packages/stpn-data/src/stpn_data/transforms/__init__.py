"""Clip geometry: drawn once per clip, applied alike to key frame, support frames and boxes."""

from __future__ import annotations

from stpn_data.transforms.evaluation import EvalResize as EvalResize
from stpn_data.transforms.geometry import ClipTransform as ClipTransform
from stpn_data.transforms.geometry import Geometry as Geometry
from stpn_data.transforms.geometry import PlacedBoxes as PlacedBoxes
from stpn_data.transforms.geometry import mask_boxes as mask_boxes
from stpn_data.transforms.resize import cover as cover
from stpn_data.transforms.resize import fit as fit
from stpn_data.transforms.resize import resize as resize
from stpn_data.transforms.train import TrainTransform as TrainTransform
