"""Weights of golden cases under the names used here."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from stpn_vis.weight_names import depths_of, weight_names


def golden_state(tensors: Mapping[str, Tensor], part: str = "") -> dict[str, Tensor]:
    """The `weights.*` tensors that belong to `part`, such as "decoder.", without that prefix."""
    theirs = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
    depths = depths_of(theirs, "detectron2")
    if not depths.stages:  # a part of a model alone; the other parts are not looked for
        import dataclasses

        depths = dataclasses.replace(depths, stages=(0, 0, 0, 0))
    ours = {n.ours: theirs[n.detectron2] for n in weight_names(depths) if n.detectron2 in theirs}
    assert len(ours) == len(theirs), "a weight without a name here"
    return {k.removeprefix(part): v for k, v in ours.items() if k.startswith(part)}
