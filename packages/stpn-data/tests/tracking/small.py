"""Small tracking data sets of painted videos."""

from __future__ import annotations

import torch

from stpn_data.tracking import CropSettings, TargetRule, TrackingClip, TrackingDataset

SMALL = CropSettings(template_size=32, search_size=96)
ANY = TargetRule(min_frames=1, min_visible=1, min_still=0)


def dataset(*data, **settings) -> TrackingDataset:
    settings = {"crops": SMALL, "seed": 3, "samples_per_epoch": 40} | settings
    return TrackingDataset(data, **settings)


def same(a: TrackingClip, b: TrackingClip, *but: str) -> bool:
    return all(
        torch.equal(value, getattr(b, name))
        if isinstance(value, torch.Tensor)
        else value == getattr(b, name)
        for name, value in vars(a).items()
        if name not in but
    )
