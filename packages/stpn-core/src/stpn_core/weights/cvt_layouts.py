"""Names of CvT weights: Microsoft's and Hugging Face Transformers', both brought to ours.

All three hold the same tensors in the same order; only names differ. Ours are Microsoft's with
`stages.0.` instead of `stage0.`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

CvtLayout = Literal["microsoft-cvt", "transformers-cvt"]

_MICROSOFT = re.compile(r"^stage(\d+)\.(.+)$")
_TRANSFORMERS = re.compile(r"^(?:cvt\.)?encoder\.stages\.(\d+)\.(.+)$")
_ALIKE = re.compile(
    r"^(cls_token|patch_embed\.(proj|norm)\.(weight|bias)|blocks\.\d+\.("
    r"(norm[12]|attn\.proj(_[qkv])?|mlp\.fc[12])\.(weight|bias)"
    r"|attn\.conv_proj_[qkv]\.(conv\.weight|bn\.(weight|bias|running_mean|running_var))))$"
)
_INNER = (
    (r"^embedding\.convolution_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embedding\.convolution_embeddings\.normalization\.", "patch_embed.norm."),
    (r"^layers\.(\d+)\.", r"blocks.\1."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (
        r"\.attention\.attention\.convolution_projection_(query|key|value)"
        r"\.convolution_projection\.convolution\.",
        r".attn.conv_proj_\1.conv.",
    ),
    (
        r"\.attention\.attention\.convolution_projection_(query|key|value)"
        r"\.convolution_projection\.normalization\.",
        r".attn.conv_proj_\1.bn.",
    ),
    (r"\.attention\.attention\.projection_(query|key|value)\.", r".attn.proj_\1."),
)
_LETTERS = (("_query.", "_q."), ("_key.", "_k."), ("_value.", "_v."))


def detect_cvt(keys: Iterable[str]) -> CvtLayout | None:
    """The layout of backbone keys (without prefix), or None if they are no CvT's."""
    names = list(keys)
    if any(_MICROSOFT.match(name) and ".conv_proj_q." in name for name in names):
        return "microsoft-cvt"
    if any(_TRANSFORMERS.match(name) and "convolution_projection_query" in name for name in names):
        return "transformers-cvt"
    return None


def cvt_name(key: str, layout: CvtLayout) -> str | None:
    """Our name of a backbone key; "" for a counter that is not needed, None if there is none."""
    if key.endswith("num_batches_tracked"):
        return ""
    match = (_MICROSOFT if layout == "microsoft-cvt" else _TRANSFORMERS).match(key)
    if match is None:
        return None
    stage, inner = match[1], match[2]
    if layout == "transformers-cvt":
        for pattern, name in _INNER:
            inner = re.sub(pattern, name, inner)
        for word, letter in _LETTERS:
            inner = inner.replace(word, letter)
    return f"stages.{stage}.{inner}" if _ALIKE.match(inner) else None
