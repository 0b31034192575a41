"""All annotated objects for the page: t-SNE by speed, and how much heat lies on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stpn_core.explain.page import Picture
from stpn_core.explain.pictures import data_address
from stpn_data.index import VideoIndex
from stpn_data.support import Policy
from stpn_data.transforms import EvalResize
from stpn_vod.explain import plots
from stpn_vod.explain.page import HeatRow, ObjectsPart
from stpn_vod.explain.regions import (
    ObjectFeatures,
    ObjectSample,
    object_features,
    sample_objects,
    videos_of,
)
from stpn_vod.explain.tsne import FEWEST, embed, neighbour_agreement
from stpn_vod.explain.view import Arm


def explain_objects(
    arms: Sequence[Arm],
    index: VideoIndex,
    policy: Policy,
    resize: EvalResize,
    *,
    count: int,
    seed: int,
) -> ObjectsPart:
    """Up to `count` objects of each speed group as each arm sees them, or why there are none."""
    if not len(index.boxes):
        return ObjectsPart(
            note=f"{index.source} has no annotated boxes, so there are no objects to lay out."
        )
    if not count:
        return ObjectsPart(note="Left out, as asked with --objects 0.")
    samples = sample_objects(index, count, seed)
    shown = [sample for sample in samples if len(sample.rows) >= FEWEST]
    note = _note(samples)
    if not shown:
        return ObjectsPart(note=note)
    rows = np.unique(np.concatenate([sample.rows for sample in shown]))
    seen = [object_features(arm, index, rows, policy, resize) for arm in arms]
    panels, heat = [], []
    for sample in shown:
        own = [features.take(np.searchsorted(rows, sample.rows)) for features in seen]
        panels.append(
            [_panel(arm, index, sample, f, seed) for arm, f in zip(arms, own, strict=True)]
        )
        heat.append(
            HeatRow(
                sample.speed,
                [float(f.heat[:, 0].mean()) for f in own],
                float(own[0].heat[:, 1].mean()),
            )
        )
    caption = "; ".join(f"{len(s.rows)} of {s.total} {s.speed} boxes" for s in shown)
    picture = data_address(plots.scatter(panels, index.classes), "png")
    return ObjectsPart(Picture(picture, f"{caption}, drawn by chance."), note, heat)


def _note(samples: Sequence[ObjectSample]) -> str:
    few = [f"{len(sample.rows)} {sample.speed}" for sample in samples if len(sample.rows) < FEWEST]
    said = [f"Too few objects to lay out: {', '.join(few)} (at least {FEWEST})."] if few else []
    if [sample.speed for sample in samples] == ["all"]:
        said.append("Not by speed: some boxes have no track, so their motion is not known.")
    return " ".join(said)


def _panel(
    arm: Arm, index: VideoIndex, sample: ObjectSample, seen: ObjectFeatures, seed: int
) -> plots.Panel:
    labels = index.labels[sample.rows].astype(np.int64)
    agreement = neighbour_agreement(seen.pooled, labels, videos_of(index, sample.rows))
    number = ""
    if agreement is not None:
        number = f"\nneighbours of one class {agreement[0]:.0%}, chance {agreement[1]:.0%}"
    return plots.Panel(f"{sample.speed}: {arm.title}{number}", embed(seen.pooled, seed), labels)
