"""Build a prompt predictor by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stpn_core.errors import InputError
from stpn_core.predictors.attention import AttentionPredictor
from stpn_core.predictors.average import AveragePredictor
from stpn_core.predictors.deep import DeepPredictor
from stpn_core.predictors.mixer import MixerPredictor
from stpn_core.predictors.predictor import PromptPredictor
from stpn_core.predictors.static import StaticPredictor
from stpn_core.predictors.transformer import TransformerPredictor


def create_predictor(
    name: str,
    *,
    support_dim: int,
    prompt_dims: int | Sequence[int],
    num_prompts: int = 5,
    **options: Any,
) -> PromptPredictor:
    """Build a predictor from support tokens of `support_dim` channels to `num_prompts` prompts.

    name: "transformer" (paper eq. 2-4), "mixer" (paper eq. 5-7), "attention" and "average" (the two
        of the released code), "static" (learned prompts that ignore the support: VPT, the control).
    prompt_dims: an int for shallow prompts of that width; a sequence with the width of each block
        for deep prompts (paper eq. 11).
    options: passed to the predictor, see its class.
    Raises InputError for an unknown name or impossible sizes.
    """
    deep = not isinstance(prompt_dims, int)
    dims = tuple(prompt_dims) if not isinstance(prompt_dims, int) else (prompt_dims,)
    if num_prompts < 1:
        raise InputError(f"num_prompts must be at least 1, got {num_prompts}")
    if not dims or min(dims) < 1:
        raise InputError(f"prompt_dims must be positive widths, got {prompt_dims}")
    sizes: dict[str, Any] = {
        "support_dim": support_dim,
        "prompt_dim": dims[0],
        "num_prompts": num_prompts,
    }
    shared: PromptPredictor
    match name:
        case "transformer":
            shared = TransformerPredictor(**sizes, **options)
        case "mixer":
            shared = MixerPredictor(**sizes, **options)
        case "attention":
            shared = AttentionPredictor(**sizes, **options)
        case "average":
            shared = AveragePredictor(**sizes, **options)
        case "static":
            shared = StaticPredictor(**sizes, **options)
        case _:
            raise InputError(
                f"unknown prompt predictor {name!r}; "
                "choose transformer, mixer, attention, average or static"
            )
    return DeepPredictor(shared, dims) if deep else shared
