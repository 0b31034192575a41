"""What the card of a segmenter says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from stpn_core.hub import Card, Contents
from stpn_vis.build_config import SegmenterConfig

_VERSIONS = ("stpn-core", "stpn-data", "stpn-vis", "torch", "torchvision", "timm")


def segmenter_card(name: str, held: Contents, repository: str, licence: str) -> Card:
    """The card of a segmenter; repository: its place on the Hub, empty for a folder called `name`."""
    record = held.record
    if record is not None:  # a number below 0 says that nothing was annotated
        scores = {key: value for key, value in record.scores.items() if value >= 0}
        record = dataclasses.replace(record, scores=scores)
    weights = f"hf://{repository}" if repository else name
    return Card(
        name=name,
        about=_about(held.config),
        task="image-segmentation",
        commands=[f"stpn vis predict VIDEO --weights {weights} --out FOLDER"],
        python=[
            "from stpn_vis.hub import from_pretrained",
            "from stpn_vis.predict import segment_file",
            "",
            f"segmenter = from_pretrained({json.dumps(repository or name)})",
            'for result in segment_file(segmenter, "street.mp4"):',
            "    print(result.frame.index, result.found)",
        ],
        tags=("video-instance-segmentation",),
        licence=licence,
        classes=held.classes,
        data=_data(record.config) if record else {},
        record=record,
        measured=_measured(record.config) if record else "",
        versions=_VERSIONS,
    )


def _about(config: SegmenterConfig) -> str:
    if config.predictor is None:
        seen = "without prompts"
    else:
        where = "every block" if config.deep else "the first block"
        seen = (
            f"with {config.num_prompts} spatio-temporal prompts, predicted from neighbouring frames "
            f"(`{config.predictor}`) and put in front of {where}"
        )
    return (
        f"Video instance segmentation with the library STPN: MinVIS (Mask2Former) on "
        f"`{config.encoder}` {seen}. Needs the package `stpn-vis`, and its "
        "extra `hub` to load from the Hub."
    )


def _data(config: Mapping[str, Any]) -> dict[str, str]:
    data, optim = config.get("data", {}), config.get("optim", {})
    layout = data.get("format", "auto")
    rows = {
        "recipe": config.get("name"),
        "data": f"{data.get('root')}" + ("" if layout == "auto" else f" ({layout})"),
        "split": data.get("train_split"),
        "support frames of a clip": data.get("support_count"),
        "started from": config.get("init") or "random weights",
        "class layer of the start": config.get("class_head") if config.get("init") else None,
        "batch size per process": optim.get("batch_size"),
        "batches of a step": optim.get("accumulate"),
        "learning rate": optim.get("lr"),
        "seed": config.get("run", {}).get("seed"),
    }
    return {name: str(value) for name, value in rows.items() if value not in (None, "")}


def _measured(config: Mapping[str, Any]) -> str:
    data, test = config.get("data", {}), config.get("eval", {})
    return (
        f"Video mask AP (YouTube-VIS) on split {data.get('val_split')!r} of the same data, measured "
        f"by the training run: short side {test.get('short_side')} and long side "
        f"{test.get('long_side')} at most, support policy {test.get('policy')} with "
        f"{test.get('count')} frames."
    )
