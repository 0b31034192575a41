"""Names and column orders of Swin weights: Microsoft, mmdet and timm, all brought to timm's.

C channels of a stage. A patch merging reads 2x2 neighbours, so its norm has 4C entries and its
reduction 4C columns; with m = (0, 2, 1, 3):
    Microsoft and timm  column b*C + c, block b at (dy, dx) = (0,0), (1,0), (0,1), (1,1)
    mmdet (nn.Unfold)   column 4*c + k, place k at (dy, dx) = (0,0), (0,1), (1,0), (1,1)
so W_timm[:, b*C + c] = W_unfold[:, 4*c + m[b]]. Query-key-value rows and relative position bias
tables are the same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from torch import Tensor

Layout = Literal["microsoft", "mmdet", "timm"]

_RENAMED = (
    ("attn.w_msa.", "attn."),
    ("ffn.layers.0.0.", "mlp.fc1."),
    ("ffn.layers.1.", "mlp.fc2."),
)
_BLOCK_PARTS = re.compile(
    r"(norm[12]|attn\.qkv|attn\.proj|mlp\.fc[12])\.(weight|bias)|attn\.relative_position_bias_table"
)
_RECOMPUTED = re.compile(r"(attn\.(w_msa\.)?relative_position_index|attn_mask)$")


def detect_layout(keys: Iterable[str]) -> Layout | None:
    """The layout of backbone keys (without prefix), or None if they are no Swin's."""
    names = set(keys)
    if any(re.match(r"stages\.\d+\.blocks\.\d+\.attn\.w_msa\.", name) for name in names):
        return "mmdet"
    if not any(name.endswith("attn.relative_position_bias_table") for name in names):
        return None
    if any(re.match(r"layers\.0\.downsample\.", name) for name in names):
        return "microsoft"  # merging at the end of a stage; timm has it at the start of the next
    return "timm" if any(re.match(r"layers\.\d+\.blocks\.", name) for name in names) else None


def timm_name(key: str, layout: Layout) -> str | None:
    """timm's name of a backbone key, "" for a buffer that is computed anew, None if unknown.

    The norm of output stage i, which timm does not have, is called `norms.i`; everything else gets
    the prefix `body.`.
    """
    if _RECOMPUTED.search(key):
        return ""
    stem = re.match(r"patch_embed\.(?:projection|proj|norm)\.(?:weight|bias)$", key)
    if stem:
        return "body." + key.replace("patch_embed.projection.", "patch_embed.proj.")
    output_norm = re.match(r"norm(\d)\.(weight|bias)$", key)
    if output_norm:
        return f"norms.{output_norm[1]}.{output_norm[2]}"
    part = re.match(r"(?:layers|stages)\.(\d+)\.(?:(blocks\.\d+)\.|downsample\.)(.+)$", key)
    if part is None:
        return None
    stage, block, rest = int(part[1]), part[2], part[3]
    if block is None:
        if rest not in ("norm.weight", "norm.bias", "reduction.weight"):
            return None
        return f"body.layers.{stage + (layout != 'timm')}.downsample.{rest}"
    for old, new in _RENAMED:
        rest = rest.replace(old, new, 1) if rest.startswith(old) else rest
    return f"body.layers.{stage}.{block}.{rest}" if _BLOCK_PARTS.fullmatch(rest) else None


def timm_order(name: str, tensor: Tensor, layout: Layout) -> Tensor:
    """The tensor with patch-merging columns in timm's order; `name` is timm's."""
    if layout != "mmdet" or ".downsample." not in name:
        return tensor
    quarter = tensor.shape[-1] // 4
    # (..., c, k) with k = (dy, dx) row-major  ->  (..., b, c) with b column-major
    places = tensor.reshape(*tensor.shape[:-1], quarter, 2, 2)
    return places.movedim(-3, -1).transpose(-3, -2).reshape(tensor.shape).contiguous()
