"""Prompted vision transformers: a walk over timm's unmodified VisionTransformer and Eva modules.

That covers ViT, DeiT, CLIP, SigLIP and DINOv2 (VisionTransformer), EVA02 and DINOv3 (Eva, rotary
positions). The attention of these models is global, so prompts are rows between the prefix tokens
(class, registers) and the patches, and timm's blocks are called as they are.

Shapes: B batch, P prompts, D width, h x w patch grid, N = h*w patches, R prefix tokens.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

import timm
import torch
from timm.layers import DropPath, PatchEmbed
from timm.models import eva, vision_transformer
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from stpn_core.encoder import PromptedEncoder, Prompts, check_prompts
from stpn_core.errors import InputError
from stpn_core.features import Features
from stpn_core.pretrained import create_pretrained
from stpn_core.pyramid import SimpleFeaturePyramid

Body: TypeAlias = VisionTransformer | Eva
STRIDES = (4, 8, 16, 32)


class VitEncoder(PromptedEncoder):
    """A timm VisionTransformer or Eva model that takes prompts.

    body: the model, built with dynamic_img_size=True; its state-dict keys stay timm's own under
        `body.`. Replace parts of it (adapters) before, not after, it comes in here.
    pyramid: makes maps at several strides from the last block, for dense tasks. None returns patch
        maps as they are, after the model's final norm.
    taps: without a pyramid, after which blocks to take maps (by default the last); negative numbers
        count from the end.
    checkpointing: recompute each block in the backward pass.
    """

    def __init__(
        self,
        body: Body,
        pyramid: SimpleFeaturePyramid | None,
        *,
        taps: Sequence[int] = (-1,),
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        depth, dim, patch = len(body.blocks), body.embed_dim, max(body.patch_embed.patch_size)
        self.body = body
        # A plain list: the same parameters again, which the state dict must not name twice.
        self._steady_blocks = [without_drop_path(block) for block in body.blocks]
        self.pyramid = pyramid
        self.checkpointing = checkpointing
        self.prompt_dim = self.support_dim = dim
        self.prompt_dims = (dim,) * depth
        self.taps = _select(taps if pyramid is None else (-1,), range(depth), "blocks")
        if pyramid is None:
            self.strides = (patch,) * len(self.taps)
            self.channels = (dim,) * len(self.taps)
        else:
            self.strides = pyramid.strides
            self.channels = (pyramid.channels,) * len(pyramid.strides)

    def forward(self, images: Tensor, prompts: Prompts | None = None) -> Features:
        """See PromptedEncoder. Without prompts, at the size of the position table, patch maps equal
        timm's `forward_features` bit for bit.
        """
        self._check(images, prompts)
        tapped = self._walk(images, prompts, self.body.blocks, self.taps)
        maps = tuple(self._final_norm(x).permute(0, 3, 1, 2) for x in tapped)
        if self.pyramid is not None:
            maps = self.pyramid(maps[0], (images.shape[-2], images.shape[-1]))
        return Features(maps, self.strides)

    def embed(self, images: Tensor) -> Tensor:
        """Support tokens (B, h, w, D), see PromptedEncoder."""
        self._check(images, None)
        blocks = self._steady_blocks if self.training else self.body.blocks
        (last,) = self._walk(images, None, blocks, (len(self.body.blocks) - 1,))
        return self._final_norm(last)

    def _walk(
        self,
        images: Tensor,
        prompts: Prompts | None,
        blocks: Iterable[nn.Module],
        taps: Sequence[int],
    ) -> list[Tensor]:
        """Patch tokens (B, h, w, D) after the blocks in `taps` (ascending), prefix and prompts
        stripped.
        """
        x, rope, (h, w) = self._tokens(images)
        mixed = getattr(self.body, "rope_mixed", False)  # each block has a rotary table of its own
        prefix, count, table = self.body.num_prefix_tokens, 0, rope
        tapped = []
        for i, block in enumerate(blocks):
            new = _prompts_before(prompts, i)
            if new is not None:
                x = torch.cat([x[:, :prefix], new.to(x.dtype), x[:, prefix + count :]], dim=1)
                if new.shape[1] != count:
                    count = new.shape[1]
                    table = None if rope is None else with_identity_rows(rope, count)
            x = self._run(block, x, table[i] if mixed and table is not None else table)
            if i in taps:
                tapped.append(x[:, prefix + count :].unflatten(1, (h, w)))
            if i == taps[-1]:
                break
        return tapped

    def _tokens(self, images: Tensor) -> tuple[Tensor, Tensor | None, tuple[int, int]]:
        """Prefix and patch tokens (B, R+N, D), rotary table or None, and the patch grid (h, w)."""
        body = self.body
        patch_h, patch_w = body.patch_embed.patch_size
        bottom, right = -images.shape[-2] % patch_h, -images.shape[-1] % patch_w
        if bottom or right:
            images = F.pad(images, (0, right, 0, bottom))
        x = body.patch_embed(images)
        grid = (x.shape[1], x.shape[2])
        if isinstance(body, Eva):
            x, rope = body._pos_embed(x)
        else:
            x, rope = body._pos_embed(x), None
        return body.norm_pre(x), rope, grid

    def _run(self, block: nn.Module, x: Tensor, rope: Tensor | None) -> Tensor:
        options: dict[str, Any] = {"rope": rope} if isinstance(self.body, Eva) else {}
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, x, use_reentrant=False, **options)
        return block(x, **options)

    def _final_norm(self, tokens: Tensor) -> Tensor:
        # A model that classifies by average pooling has its one trained norm behind the pooling.
        norm = self.body.norm
        return (self.body.fc_norm if isinstance(norm, nn.Identity) else norm)(tokens)

    def _check(self, images: Tensor, prompts: Prompts | None) -> None:
        if images.ndim != 4 or images.shape[1] != 3 or not images.shape[2] * images.shape[3]:
            raise InputError(f"images must be (B, 3, H, W), got {tuple(images.shape)}")
        if prompts is not None:
            check_prompts(prompts, len(images), self.prompt_dim, self.prompt_dims)


def _prompts_before(prompts: Prompts | None, block: int) -> Tensor | None:
    """What is put in front of a block: shallow prompts once, deep ones anew each time (the outputs
    of the former are dropped).
    """
    if isinstance(prompts, Tensor):
        return prompts if block == 0 else None
    return None if prompts is None else prompts[block]


def with_identity_rows(rope: Tensor, count: int) -> Tensor:
    """A rotary table (..., N, 2d) with `count` rows in front that rotate nothing (sine 0, cosine 1):
    prompts have no place in the image.
    """
    rows = (*rope.shape[:-2], count, rope.shape[-1] // 2)
    identity = torch.cat([rope.new_zeros(rows), rope.new_ones(rows)], dim=-1)
    return torch.cat([identity, rope], dim=-2)


def without_drop_path(module: nn.Module) -> nn.Module:
    """The module without stochastic depth: shares every parameter, changes nothing in the original.

    Containers of a DropPath are copied shallowly, everything else is the same object.
    """
    if isinstance(module, DropPath):
        return nn.Identity()
    if not any(isinstance(m, DropPath) for m in module.modules()):
        return module
    twin = copy.copy(module)
    twin._modules = {
        name: None if child is None else without_drop_path(child)
        for name, child in module._modules.items()
    }
    return twin


def _select(indices: Sequence[int], choices: Sequence[int], what: str) -> tuple[int, ...]:
    count = len(choices)
    if not indices or any(not -count <= i < count for i in indices):
        raise InputError(f"out_indices={list(indices)}: this encoder has {count} {what}")
    return tuple(choices[i] for i in sorted({i % count for i in indices}))


def create_vit(
    name: str,
    *,
    pretrained: bool = False,
    weights: str | Path | None = None,
    drop_path: float = 0.0,
    checkpointing: bool = False,
    out_indices: Sequence[int] | None = None,
    pyramid_dim: int | None = 256,
    **arch: Any,
) -> VitEncoder:
    """Build an encoder from any timm VisionTransformer or Eva model; see `create_encoder`.

    name: a timm model name, with or without a tag ("vit_small_patch16_dinov3.lvd1689m").
    pyramid_dim: channels of a simple feature pyramid at strides 4, 8, 16, 32; None for patch maps.
    out_indices: which levels of the pyramid, all by default; with patch maps, after which blocks to
        take them, by default the last. Negative numbers count from the end.
    arch: passed to timm (img_size, embed_dim, depth, ...). Raises InputError for what timm refuses.
    """
    body = _build_body(name, pretrained and weights is None, drop_path_rate=drop_path, **arch)
    if weights is not None:
        _load_body(body, weights)
    if pyramid_dim is None:
        taps = (-1,) if out_indices is None else out_indices
        return VitEncoder(body, None, taps=taps, checkpointing=checkpointing)
    levels = range(len(STRIDES)) if out_indices is None else out_indices
    strides = _select(levels, STRIDES, "pyramid levels")
    patch = max(body.patch_embed.patch_size)
    pyramid = SimpleFeaturePyramid(body.embed_dim, patch, pyramid_dim, strides)
    return VitEncoder(body, pyramid, checkpointing=checkpointing)


def _build_body(name: str, pretrained: bool, **options: Any) -> Body:
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models("*vit*") + timm.list_models("eva*"))
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise InputError(f"timm {timm.__version__} has no model {name!r}{hint}")
    if options.get("patch_drop_rate"):
        raise InputError("patch_drop_rate: feature maps need every patch, set it to 0")
    build = create_pretrained if pretrained else timm.create_model
    try:
        body = build(name, num_classes=0, dynamic_img_size=True, **options)
    except TypeError as error:
        raise InputError(f"timm cannot build {name!r}: {error}") from error
    if not _is_supported(body):
        raise InputError(
            f"{name!r} is a {type(body).__name__}; prompts go into timm's VisionTransformer and "
            "Eva models with plain square patches (ViT, DeiT, CLIP, SigLIP, DINOv2, DINOv3, EVA02)"
        )
    # No pooling head: it would be parameters without a gradient. (timm 1.0.20 leaves Eva's.)
    body.reset_classifier(0, "")
    body.attn_pool = None  # type: ignore[assignment]
    return body


def _load_body(body: Body, path: str | Path) -> None:
    """Load a file with the transformer's weights: timm's, the model authors' own as far as timm
    understands them, or an STPN model's (of which the encoder is taken).
    """
    from stpn_core.weights import load_state, read_checkpoint

    state = read_checkpoint(path).state
    for prefix in ("stpn.", "encoder.", "body."):
        if any(key.startswith(prefix) for key in state):
            state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    family = eva if isinstance(body, Eva) else vision_transformer
    state = family.checkpoint_filter_fn(state, body)
    load_state(body, state, what=f"encoder weights {path}")


def _is_supported(body: nn.Module) -> TypeGuard[Body]:
    embed = getattr(body, "patch_embed", None)
    if type(embed) is not PatchEmbed or len(set(embed.patch_size)) > 1:
        return False
    return any(
        isinstance(body, cls) and type(body).forward_features is cls.forward_features
        for cls in (VisionTransformer, Eva)
    )
