"""Build Swin encoders: the published sizes, sizes of one's own, and pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from timm.models.swin_transformer import SwinTransformer

from stpn_core.encoder import PromptMerge
from stpn_core.errors import InputError
from stpn_core.pretrained import create_pretrained, load_encoder_file
from stpn_core.swin import SwinEncoder


@dataclass(frozen=True)
class SwinSizes:
    """What makes one Swin differ from another. window: tokens per side of an attention window."""

    embed_dim: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    mlp_ratio: float = 4.0
    window: int = 7


_SIZES = {
    "swin": SwinSizes(),
    "swin_tiny": SwinSizes(),
    "swin_small": SwinSizes(depths=(2, 2, 18, 2)),
    "swin_base": SwinSizes(128, (2, 2, 18, 2), (4, 8, 16, 32)),
    "swin_large": SwinSizes(192, (2, 2, 18, 2), (6, 12, 24, 48)),
}
# timm's names of the models that have classification weights, by our name and window
_TIMM_NAMES = {
    ("swin_tiny", 7): "swin_tiny_patch4_window7_224.ms_in1k",
    ("swin_small", 7): "swin_small_patch4_window7_224.ms_in1k",
    ("swin_base", 7): "swin_base_patch4_window7_224.ms_in22k_ft_in1k",
    ("swin_base", 12): "swin_base_patch4_window12_384.ms_in22k_ft_in1k",
    ("swin_large", 7): "swin_large_patch4_window7_224.ms_in22k_ft_in1k",
    ("swin_large", 12): "swin_large_patch4_window12_384.ms_in22k_ft_in1k",
}


def swin_sizes(name: str, **arch: Any) -> SwinSizes:
    """Sizes of a named Swin with some of them replaced; InputError if they cannot be."""
    if name not in _SIZES:
        raise InputError(f"unknown encoder {name!r}; Swin encoders: {', '.join(_SIZES)}")
    free = [field.name for field in fields(SwinSizes)] if name == "swin" else ["window"]
    if unknown := sorted(set(arch) - set(free)):
        raise InputError(f"{name} takes no option {unknown[0]!r}; it takes {', '.join(free)}")
    sizes = replace(_SIZES[name], **arch)
    sizes = replace(sizes, depths=tuple(sizes.depths), num_heads=tuple(sizes.num_heads))
    if sizes.window < 2:
        raise InputError(f"window must be at least 2 tokens, got {sizes.window}")
    if len(sizes.depths) != len(sizes.num_heads):
        raise InputError(f"depths {sizes.depths} and num_heads {sizes.num_heads} differ in length")
    for stage, heads in enumerate(sizes.num_heads):
        dim = sizes.embed_dim * 2**stage
        if dim % heads:
            raise InputError(f"stage {stage}: {dim} channels do not split over {heads} heads")
    return sizes


def create_swin(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | Path | None = None,
    drop_path: float = 0.0,
    checkpointing: bool = False,
    prompt_merge: PromptMerge = "aligned",
    out_indices: Sequence[int] | None = None,
    **arch: Any,
) -> SwinEncoder:
    """Build a Swin encoder; see `create_encoder`.

    Classification weights have one norm after the last stage; it starts `norms.<last>`, and the
    norms of the other stages start as the identity.
    """
    sizes = swin_sizes(name, **arch)
    body = _body(name, sizes, drop_path, pretrained and weights is None)
    encoder = SwinEncoder(
        body, prompt_merge=prompt_merge, checkpointing=checkpointing, out_indices=out_indices
    )
    if weights is not None:
        load_encoder_file(encoder, weights)
    return encoder


def _body(name: str, sizes: SwinSizes, drop_path: float, pretrained: bool) -> SwinTransformer:
    # windows keep their size at every image size: the weights, and detection, mean it so
    detection_form: dict[str, Any] = {
        "num_classes": 0,
        "strict_img_size": False,
        "always_partition": True,
    }
    if not pretrained:
        return SwinTransformer(
            img_size=32 * sizes.window,
            embed_dim=sizes.embed_dim,
            depths=sizes.depths,
            num_heads=sizes.num_heads,
            mlp_ratio=sizes.mlp_ratio,
            window_size=sizes.window,
            drop_path_rate=drop_path,
            **detection_form,
        )
    timm_name = _TIMM_NAMES.get((name, sizes.window))
    if timm_name is None:
        raise InputError(f"no pretrained weights are published for {name} with {sizes}")
    return create_pretrained(timm_name, drop_path_rate=drop_path, **detection_form)
