"""The arms of the study: what each changes in the main one, and in which order they are run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stpn_vod.config import Recipe

TWIN, MAIN = "twin", "attention_deep"
SUPPORT_TESTS = "support_tests"
"""Not an arm: further tests of the main one, which train nothing."""


@dataclass(frozen=True)
class Arm:
    """A detector to train. model, data: fields that differ from the main arm's recipe."""

    name: str
    title: str
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    def recipe(self, base: Recipe) -> Recipe:
        """The complete configuration."""
        return dataclasses.replace(
            base,
            name=self.name,
            model=dataclasses.replace(base.model, **self.model),
            data=dataclasses.replace(base.data, **self.data),
        )


_NO_PROMPTS = {"predictor": None, "prompt_aux": 0.0}
_STATIC = {"predictor": "static", "predictor_options": {}, "prompt_aux": 0.0}
_MIXER = {"predictor": "mixer", "predictor_options": {"grid": 4}}  # the last map is 4 x 4
_AVERAGE = {"predictor": "average", "predictor_options": {}}
_SHALLOW = {"deep": False}

ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(TWIN, "single-frame twin", _NO_PROMPTS),
        Arm(MAIN, "STPN, attention predictor, deep"),
        Arm("static_deep", "static prompts, deep", _STATIC),
        Arm("selsa", "SELSA", {**_NO_PROMPTS, "head": "selsa"}),
        Arm("transformer_deep", "STPN, transformer predictor, deep", {"predictor": "transformer"}),
        Arm("mixer_deep", "STPN, mixer predictor, deep", _MIXER),
        Arm("average_deep", "STPN, average predictor, deep", _AVERAGE),
        Arm("attention_shallow", "STPN, attention predictor, shallow", _SHALLOW),
        Arm("no_aux", "main arm without the auxiliary loss", {"prompt_aux": 0.0}),
        Arm("no_support_grad", "main arm without gradient through the support",
            {"support_grad": False}),
        Arm("swap_trained", "main arm, trained with other videos' support",
            data={"support_swap": 1.0, "support_dropout": 0.0}),
        Arm("selsa_stpn", "SELSA on STPN", {"head": "selsa"}),
        Arm("transformer_shallow", "STPN, transformer predictor, shallow",
            {"predictor": "transformer", **_SHALLOW}),
        Arm("mixer_shallow", "STPN, mixer predictor, shallow", {**_MIXER, **_SHALLOW}),
        Arm("average_shallow", "STPN, average predictor, shallow", {**_AVERAGE, **_SHALLOW}),
        Arm("static_shallow", "static prompts, shallow", {**_STATIC, **_SHALLOW}),
        Arm("swap_some", "main arm, a fifth of the clips with another video's support",
            data={"support_swap": 0.2}),
        Arm("aux_weak", "main arm, auxiliary loss at a tenth of its weight", {"prompt_aux": 0.1}),
        Arm("prompts_1", "main arm with 1 prompt", {"num_prompts": 1}),
        Arm("prompts_3", "main arm with 3 prompts", {"num_prompts": 3}),
        Arm("prompts_5", "main arm with 5 prompts", {"num_prompts": 5}),
        Arm("prompts_13", "main arm with 13 prompts", {"num_prompts": 13}),
    )
}  # fmt: skip

TIERS = (
    (TWIN, MAIN, "static_deep", "selsa", "transformer_deep"),
    ("no_aux", "no_support_grad", "attention_shallow", "mixer_deep", "average_deep"),
    (SUPPORT_TESTS, "swap_trained", "selsa_stpn", "transformer_shallow", "mixer_shallow",
     "average_shallow", "static_shallow"),
    ("swap_some", "aux_weak", "prompts_1", "prompts_3", "prompts_5", "prompts_13"),
)  # fmt: skip
"""What is run, by importance. Every seed of a tier is run before the next tier begins, so that a
study that is cut short is balanced."""


def queue(seeds: Sequence[int], chosen: Sequence[str] = ()) -> list[tuple[str, int]]:
    """(arm, seed) in the order of running; only `chosen` arms if any are named."""
    return [
        (arm, seed)
        for tier in TIERS
        for seed in seeds
        for arm in tier
        if not chosen or arm in chosen
    ]
