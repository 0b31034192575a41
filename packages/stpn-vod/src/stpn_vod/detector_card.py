"""What the card of a detector says."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from stpn_core.hub import Card, RunRecord
from stpn_vod.build_config import DetectorConfig

_VERSIONS = ("stpn-core", "stpn-data", "stpn-vod", "torch", "torchvision", "timm")


def detector_card(
    name: str,
    config: DetectorConfig,
    classes: tuple[str, ...],
    record: RunRecord | None,
    *,
    repository: str = "",
    licence: str = "",
) -> Card:
    """The card of a detector. record: of the run that made it, if it is known; repository: its place
    on the Hub, empty for a folder called `name`."""
    if record is not None:  # a number below 0 says that nothing was annotated
        scores = {key: value for key, value in record.scores.items() if value >= 0}
        record = dataclasses.replace(record, scores=scores)
    weights = f"hf://{repository}" if repository else name
    return Card(
        name=name,
        about=_about(config),
        task="object-detection",
        commands=[f"stpn vod predict VIDEO --weights {weights} --out FOLDER"],
        python=[
            "from stpn_vod import detect_video",
            "from stpn_vod.hub import from_pretrained",
            "",
            f"detector = from_pretrained({json.dumps(repository or name)})",
            'for result in detect_video(detector, "street.mp4"):',
            "    print(result.frame.index, result.found)",
        ],
        tags=("video-object-detection",),
        licence=licence,
        classes=classes,
        data=_data(record.config) if record else {},
        record=record,
        measured=_measured(record.config) if record else "",
        versions=_VERSIONS,
    )


def _about(config: DetectorConfig) -> str:
    head = "Faster R-CNN" if config.head == "faster_rcnn" else "SELSA (Faster R-CNN)"
    if config.predictor is None:
        seen = "without prompts"
    else:
        where = "every block" if config.deep else "the first block"
        seen = (
            f"with {config.num_prompts} spatio-temporal prompts, predicted from neighbouring frames "
            f"(`{config.predictor}`) and put in front of {where}"
        )
    return (
        f"Video object detection with the library STPN: {head} on `{config.encoder}` {seen}. Needs "
        "the package `stpn-vod`, and its extra `hub` to load from the Hub."
    )


def _data(config: Mapping[str, Any]) -> dict[str, str]:
    data, optim = config.get("data", {}), config.get("optim", {})
    layout = data.get("format", "auto")
    rows = {
        "recipe": config.get("name"),
        "data": f"{data.get('root')}" + ("" if layout == "auto" else f" ({layout})"),
        "still images": data.get("det_root"),
        "split": data.get("train_split"),
        "support frames of a clip": data.get("support_count"),
        "started from": config.get("init") or "random weights",
        "batch size per process": optim.get("batch_size"),
        "learning rate": optim.get("lr"),
        "seed": config.get("run", {}).get("seed"),
    }
    return {name: str(value) for name, value in rows.items() if value not in (None, "")}


def _measured(config: Mapping[str, Any]) -> str:
    data, test = config.get("data", {}), config.get("eval", {})
    every = test.get("every", 1)
    return (
        f"COCO metrics on split {data.get('val_split')!r} of the same data, measured by the training "
        f"run: {'every frame' if every == 1 else f'one frame in {every}'}, short side "
        f"{test.get('short_side')} and long side {test.get('long_side')} at most, support policy "
        f"{test.get('policy')} with {test.get('count')} frames."
    )
