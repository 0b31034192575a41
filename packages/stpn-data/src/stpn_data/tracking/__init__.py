"""Clips to train a tracker: templates, a search crop and support crops of one target."""

from __future__ import annotations

from stpn_data.tracking.augment import NO_AUGMENTATION, Augmentation
from stpn_data.tracking.batch import TrackingBatch, TrackingClip, collate_tracking
from stpn_data.tracking.cutting import CropSettings
from stpn_data.tracking.dataset import TrackingDataset, count_reasons
from stpn_data.tracking.draw import Sampling, SupportSampling
from stpn_data.tracking.targets import TargetRule, Targets, find_targets

__all__ = [
    "NO_AUGMENTATION",
    "Augmentation",
    "CropSettings",
    "Sampling",
    "SupportSampling",
    "TargetRule",
    "Targets",
    "TrackingBatch",
    "TrackingClip",
    "TrackingDataset",
    "collate_tracking",
    "count_reasons",
    "find_targets",
]
