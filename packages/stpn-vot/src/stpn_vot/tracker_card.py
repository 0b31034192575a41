"""What the card of a tracker says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stpn_core.hub import Card, Contents
from stpn_vot.build_config import TrackerConfig

_VERSIONS = ("stpn-core", "stpn-data", "stpn-vot", "torch", "torchvision", "timm")
_TRAINED_ON = {
    "got10k": "Trained on GOT-10k's training split alone, apart from the encoder's weights (GOT-10k's "
    "own protocol).",
    "full": "Trained on more than GOT-10k's training split: not GOT-10k's own protocol.",
    "unknown": "Nothing is recorded of GOT-10k's protocol.",
}


def tracker_card(name: str, held: Contents, repository: str, licence: str) -> Card:
    """The card of a tracker; repository: its place on the Hub, empty for a folder called `name`."""
    weights = f"hf://{repository}" if repository else name
    return Card(
        name=name,
        about=_about(held.config),
        task="object-detection",  # the Hub has none for tracking
        commands=[f"stpn vot predict VIDEO --box X,Y,W,H --weights {weights} --out FOLDER"],
        python=[
            "from stpn_data.video import open_video",
            "from stpn_vot.hub import from_pretrained",
            "from stpn_vot.predict import track_frames",
            "",
            f"tracker = from_pretrained({json.dumps(repository or name)})",
            'with open_video("street.mp4") as video:',
            "    for result in track_frames(tracker, video, [(100, 80, 40, 90)]):",
            "        print(result.frame.index, result.targets)",
        ],
        tags=("visual-object-tracking",),
        licence=licence,
        data=_data(held.record.config) if held.record else {},
        record=held.record,
        measured=_measured(held.record.config) if held.record else "",
        versions=_VERSIONS,
        notes=[_TRAINED_ON[held.origin.protocol], *held.origin.notes],
    )


def _about(config: TrackerConfig) -> str:
    if config.predictor is None:
        seen = "without prompts"
    else:
        where = "every block" if config.deep else "the first block"
        seen = (
            f"with {config.num_prompts} spatio-temporal prompts, predicted from earlier frames "
            f"(`{config.predictor}`) and put in front of {where}"
        )
    return (
        f"Visual object tracking with the library STPN: MixFormer on `{config.encoder}` {seen}. Needs "
        "the package `stpn-vot`, and its extra `hub` to load from the Hub."
    )


def _data(config: Mapping[str, Any]) -> dict[str, str]:
    data, optim = config.get("data", {}), config.get("optim", {})
    rows = {
        "recipe": config.get("name"),
        "data": ", ".join(
            str(data[key]) for key in ("root", "lasot", "trackingnet", "coco") if data.get(key)
        ),
        "split": data.get("train_split"),
        "support frames of a clip": data.get("support_count"),
        "started from": config.get("init") or "random weights",
        "trained parts": config.get("objective", {}).get("stage"),
        "batch size per process": optim.get("batch_size"),
        "learning rate": optim.get("lr"),
        "seed": config.get("run", {}).get("seed"),
    }
    return {name: str(value) for name, value in rows.items() if value not in (None, "")}


def _measured(config: Mapping[str, Any]) -> str:
    return (
        f"GOT-10k's numbers on split {config.get('data', {}).get('val_split')!r} of the same data, "
        "measured by the training run."
    )
