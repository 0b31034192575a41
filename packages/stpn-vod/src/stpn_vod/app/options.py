"""What the page asks for with a clip: support policy, frame size, how to spoil its frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from stpn_core.errors import InputError
from stpn_data.degrade import KINDS, Condition
from stpn_data.video import VideoFrame, VideoSource
from stpn_vod.config_checks import check_predict
from stpn_vod.predict_config import PredictConfig

Spoil = Literal["all", "bursts"]
BURST = 8  # frames; as many clean ones follow
LARGEST_SIDE = 2000


@dataclass(frozen=True)
class Options:
    """One job's settings. `kind` is a degradation, or "" for none; `spoil` says which frames get
    it."""

    predict: PredictConfig
    kind: str = ""
    severity: float = 0.0
    spoil: Spoil = "all"

    def spoils(self, frame: int) -> bool:
        """Whether frame number `frame` is degraded."""
        if not self.kind or self.severity == 0:
            return False
        return self.spoil == "all" or frame // BURST % 2 == 1


@dataclass(frozen=True)
class SpoiledVideo:
    """The frames of `video`, some degraded; each pass gives the same pixels."""

    video: VideoSource
    options: Options

    @property
    def name(self) -> str:
        """As the video's."""
        return self.video.name

    @property
    def length_hint(self) -> int | None:
        """As the video's."""
        return self.video.length_hint

    def __iter__(self) -> Iterator[VideoFrame]:
        condition = Condition(self.options.kind or "clean", self.options.severity)
        for frame in self.video:
            if self.options.spoils(frame.index):
                image = condition(frame.image, self.name, start=frame.index)
                frame = dataclasses.replace(frame, image=image)
            yield frame


def read_options(fields: Mapping[str, str], default: PredictConfig) -> Options:
    """Options from the text fields of a form; what is not given stays at its default.

    A short side other than the default's keeps its ratio to the long one. Raises InputError that
    names every field that is unknown, no number, or cannot work.
    """
    kinds = get_type_hints(PredictConfig)
    faults = []
    predict: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, text in fields.items():
        try:
            match name:
                case "policy":
                    predict[name] = _choice(text, get_args(kinds[name]))
                case "count" | "stride" | "short_side" | "max_frames":
                    predict[name] = int(text)
                case "cuts":
                    predict[name] = _choice(text, ("true", "false")) == "true"
                case "kind":
                    own[name] = _choice(text, ("", *KINDS))
                case "severity":
                    own[name] = float(text)
                case "spoil":
                    own[name] = _choice(text, get_args(Spoil))
                case _:
                    faults.append(f"{name}: no such setting")
        except ValueError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise InputError("; ".join(faults))
    if "short_side" in predict:
        if not 32 <= predict["short_side"] <= LARGEST_SIDE:
            raise InputError(f"short_side: must be from 32 to {LARGEST_SIDE} pixels")
        ratio = default.long_side / default.short_side
        predict["long_side"] = round(predict["short_side"] * ratio)
    options = Options(dataclasses.replace(default, **predict), **own)
    if not 0 <= options.severity <= 1:
        raise InputError(f"severity: must be from 0 to 1, not {options.severity}")
    check_predict(options.predict)
    return options


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError(f"{text!r} is none of {', '.join(filter(None, choices))}")
    return text
