"""Prompts of one frame: where in the support frames they look, and how much the search region looks
at them and at the templates."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.explain import PromptMass, prompt_mass
from stpn_core.explain.support_look import SupportLook, support_look
from stpn_data.batch import normalise
from stpn_vot.explain.follow import Moment
from stpn_vot.mixformer import MixFormer


@torch.no_grad()
def support_of(model: MixFormer, moment: Moment) -> SupportLook | None:
    """None without prompts, or if the predictor gives support tokens no weights."""
    memory = moment.state.memory
    if memory.prompts is None:
        return None
    tokens = torch.stack(list(memory.maps))[None]
    names = [f"{number - moment.number:+d}" for number in memory.frames]
    images = [moment.support[number] for number in memory.frames]
    masks = [torch.zeros(image.shape[1:], dtype=torch.bool) for image in images]
    # it needs an encoder and a predictor, and a tracker has both
    return support_look(cast(Any, model), tokens, names, images, masks)


@torch.no_grad()
def mass_of(model: MixFormer, moment: Moment) -> list[PromptMass] | str:
    """How the search region looks at its prompts, with the templates beside; why it cannot be read;
    empty without prompts."""
    prompts = moment.state.memory.prompts
    if prompts is None:
        return []
    search = normalise(moment.crop.to(_device(model)))[None]
    try:
        return prompt_mass(model.encoder, search, prompts, moment.state.cache.blocks)
    except InputError as error:
        return str(error)


def _device(model: MixFormer) -> torch.device:
    weight: Tensor = next(model.parameters())
    return weight.device
