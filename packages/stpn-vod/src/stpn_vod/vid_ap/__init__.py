"""AP50 of ImageNet VID by each of its published definitions, with slow, medium and fast objects.

"AP50" names three incompatible numbers in the literature. Each evaluator here keeps the quirks of
one lineage, says in its `Lineage` what they are and which published numbers it may be held against.
COCO's own is `stpn_vod.coco_ap`.
"""

from __future__ import annotations

from stpn_vod.vid_ap.fgfa import AREAS, FGFA, Area, fgfa_ap
from stpn_vod.vid_ap.mega import MEGA, VFE, mega_ap, vfe_ap
from stpn_vod.vid_ap.metric import Lineage, Metric
from stpn_vod.vid_ap.table import COCO, ap50, ap50_record, ap50_table
from stpn_vod.vid_ap.truth import VidTruth, vid_truth

__all__ = [
    "AREAS",
    "COCO",
    "FGFA",
    "MEGA",
    "VFE",
    "Area",
    "Lineage",
    "Metric",
    "VidTruth",
    "ap50",
    "ap50_record",
    "ap50_table",
    "fgfa_ap",
    "mega_ap",
    "vfe_ap",
    "vid_truth",
]
