"""The one interface between prompts and backbones, and the function that builds encoders by name.

Shapes: B batch, P prompts, D_i channels of block i, C channels of the last layer, h and w its grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn

from stpn_core.errors import InputError
from stpn_core.features import Features

# Shallow: one (B, P, D0), put in front of the first block and carried through the backbone.
# Deep (paper eq. 11): one (B, P, D_i) per block, each used by its block alone.
Prompts: TypeAlias = Tensor | Sequence[Tensor]
PromptMerge: TypeAlias = Literal["aligned", "released"]


class PromptedEncoder(nn.Module):
    """A backbone that can see prompts next to its patch embeddings.

    channels, strides: of the maps that `forward` returns, finest first.
    prompt_dim: width D0 of shallow prompts.
    prompt_dims: width of the prompts of each block, for deep prompts (so len() counts the blocks).
    support_dim: channels C of what `embed` returns.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    prompt_dim: int
    prompt_dims: tuple[int, ...]
    support_dim: int

    def forward(self, images: Tensor, prompts: Prompts | None = None) -> Features:
        """Encode images (B, 3, H, W), any H and W from 1 px, normalised as the weights expect.

        prompts: None for the plain backbone; a tensor (B, P, D0) for shallow prompts; a sequence of
        one (B, P, D_i) per block for deep prompts. Row b of the result depends on row b of the
        inputs only. Map sizes do not depend on the prompts. Raises InputError on a wrong shape.
        """
        raise NotImplementedError

    def embed(self, images: Tensor) -> Tensor:
        """Encode images (B, 3, H, W) without prompts into support tokens (B, h, w, C).

        The last layer's map after its norm, channels last (E^L of paper eq. 1). Stochastic depth
        is never applied here, not even while training.
        """
        raise NotImplementedError


def check_prompts(prompts: Prompts, batch: int, dim: int, dims: Sequence[int]) -> None:
    """Raise InputError unless prompts are (B, P, dim), or one (B, P, D_i) per block of `dims`."""
    if isinstance(prompts, Tensor):
        if prompts.ndim != 3 or prompts.shape[0] != batch or prompts.shape[2] != dim:
            raise InputError(f"prompts must be (B={batch}, P, D={dim}), got {tuple(prompts.shape)}")
        return
    if len(prompts) != len(dims):
        raise InputError(
            f"deep prompts: this encoder has {len(dims)} blocks, got prompts for {len(prompts)}"
        )
    for block, (tensor, want) in enumerate(zip(prompts, dims, strict=True)):
        if tensor.ndim != 3 or tensor.shape[0] != batch or tensor.shape[2] != want:
            raise InputError(
                f"deep prompts of block {block} must be (B={batch}, P, D={want}), "
                f"got {tuple(tensor.shape)}"
            )


def create_encoder(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | Path | None = None,
    drop_path: float = 0.0,
    checkpointing: bool = False,
    prompt_merge: PromptMerge = "aligned",
    out_indices: Sequence[int] | None = None,
    **arch: Any,
) -> PromptedEncoder:
    """Build an encoder.

    name: "swin_tiny", "swin_small", "swin_base", "swin_large" (window=7, or 12 for base and large);
        "swin" for sizes of one's own (embed_dim, depths, num_heads, mlp_ratio, window); "cvt_13",
        "cvt_21", "cvt_w24", or "cvt" with dims, depths, num_heads, mlp_ratio; or the name of any
        timm VisionTransformer or Eva model, such as "vit_small_patch16_dinov3".
    pretrained: fetch the classification weights that timm publishes for this model.
    weights: a file to read instead (implies no network); anything `stpn convert` understands.
    drop_path: stochastic depth rate of the last block, linear from 0; used while training only.
    checkpointing: recompute each block in the backward pass to save memory.
    prompt_merge: Swin only. "aligned" widens prompts at patch merging as VPT does; "released" keeps
        the permuted copies of the released STPN code, which its checkpoints were trained with.
    out_indices: which levels to return, all by default.
    Raises InputError for an unknown name or option, or when weights cannot be had.
    """
    if name.startswith("swin"):
        from stpn_core.swin_build import create_swin

        return create_swin(
            name,
            pretrained=pretrained,
            weights=weights,
            drop_path=drop_path,
            checkpointing=checkpointing,
            prompt_merge=prompt_merge,
            out_indices=out_indices,
            **arch,
        )
    if name.startswith("cvt"):
        from stpn_core.cvt_build import create_cvt

        _require_aligned(name, prompt_merge)
        return create_cvt(
            name,
            pretrained=pretrained,
            weights=weights,
            drop_path=drop_path,
            checkpointing=checkpointing,
            out_indices=out_indices,
            **arch,
        )
    _require_aligned(name, prompt_merge)
    from stpn_core.vit import create_vit

    return create_vit(
        name,
        pretrained=pretrained,
        weights=weights,
        drop_path=drop_path,
        checkpointing=checkpointing,
        out_indices=out_indices,
        **arch,
    )


def _require_aligned(name: str, prompt_merge: str) -> None:
    if prompt_merge != "aligned":
        raise InputError(
            f"prompt_merge={prompt_merge!r} is for Swin encoders only, not for {name!r}"
        )
