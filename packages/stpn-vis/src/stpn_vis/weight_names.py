"""What each weight of a Mask2Former on Swin is called here, in detectron2 and in Transformers.

detectron2: facebookresearch/Mask2Former and NVlabs/MinVIS. Transformers: its Mask2Former as files
hold it (`save_pretrained` of versions 4 and 5 alike); names that exist in version 5's memory only
are brought to these by `file_name`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_ENCODER = "model.pixel_level_module.encoder"
_PIXEL = "model.pixel_level_module.decoder"
_QUERY = "model.transformer_module"
_BOTH = ("weight", "bias")
_FUSED = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")


Naming = Literal["ours", "detectron2", "transformers"]
# where each naming has the layers of the Swin, the pixel decoder and the query decoder
_LAYERS: dict[Naming, tuple[str, str, str]] = {
    "ours": ("stpn.encoder.body.layers", "pixel_decoder.layers", "decoder.layers"),
    "detectron2": (
        "backbone.layers",
        "sem_seg_head.pixel_decoder.transformer.encoder.layers",
        "sem_seg_head.predictor.transformer_ffn_layers",
    ),
    "transformers": (
        f"{_ENCODER}.encoder.layers",
        f"{_PIXEL}.encoder.layers",
        f"{_QUERY}.decoder.layers",
    ),
}


@dataclass(frozen=True)
class Names:
    """One weight. transformers: one name, or those of the query, key and value part, into which the
    first axis is cut."""

    ours: str
    detectron2: str
    transformers: tuple[str, ...]


@dataclass(frozen=True)
class Depths:
    """How many blocks each stage of the Swin has, and how many layers the two decoders."""

    stages: tuple[int, ...]
    pixel_layers: int
    decoder_layers: int


def depths_of(keys: Collection[str], naming: Naming) -> Depths:
    """The depths of a model whose weights are called `keys`."""
    swin, pixel, query = _LAYERS[naming]
    blocks = [
        (int(match[1]), int(match[2]))
        for key in keys
        if (match := re.match(rf"{re.escape(swin)}\.(\d+)\.blocks\.(\d+)\.", key))
    ]
    stages = range(1 + max((stage for stage, _ in blocks), default=-1))
    return Depths(
        tuple(1 + max((b for s, b in blocks if s == stage), default=-1) for stage in stages),
        _count(keys, pixel),
        _count(keys, query),
    )


def _count(keys: Collection[str], prefix: str) -> int:
    found = (re.match(rf"{re.escape(prefix)}\.(\d+)\.", key) for key in keys)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def weight_names(depths: Depths) -> list[Names]:
    """The names of every weight of a model of these depths."""
    return [*_swin(depths.stages), *_pixel_decoder(depths), *_query_decoder(depths.decoder_layers)]


def file_name(key: str) -> str:
    """The name that a file of Transformers' has for a weight called `key` in a file or in memory."""
    key = re.sub(rf"^({re.escape(_ENCODER)}\.)(?:model\.|swin\.)", r"\1", key)
    if not key.startswith(f"{_ENCODER}."):
        return key
    for pattern, name in _VERSION_5:
        key = re.sub(pattern, name, key)
    return key


_VERSION_5 = (
    (r"\.attention\.q_proj\.", ".attention.self.query."),
    (r"\.attention\.k_proj\.", ".attention.self.key."),
    (r"\.attention\.v_proj\.", ".attention.self.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.attention\.relative_position_bias\.", ".attention.self."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)


def _same(ours: str, detectron2: str, transformers: str, leaves: Sequence[str]) -> Iterator[Names]:
    for leaf in leaves:
        yield Names(f"{ours}.{leaf}", f"{detectron2}.{leaf}", (f"{transformers}.{leaf}",))


def _swin(stages: Sequence[int]) -> Iterator[Names]:
    body = "stpn.encoder.body"
    stem, theirs = f"{body}.patch_embed", f"{_ENCODER}.embeddings"
    yield from _same(
        f"{stem}.proj", "backbone.patch_embed.proj", f"{theirs}.patch_embeddings.projection", _BOTH
    )
    yield from _same(f"{stem}.norm", "backbone.patch_embed.norm", f"{theirs}.norm", _BOTH)
    for stage, depth in enumerate(stages):
        for block in range(depth):
            inner = f"layers.{stage}.blocks.{block}"
            yield from _swin_block(
                f"{body}.{inner}", f"backbone.{inner}", f"{_ENCODER}.encoder.{inner}"
            )
        if stage + 1 < len(stages):
            yield from _same(
                f"{body}.layers.{stage + 1}.downsample",
                f"backbone.layers.{stage}.downsample",
                f"{_ENCODER}.encoder.layers.{stage}.downsample",
                ("norm.weight", "norm.bias", "reduction.weight"),
            )
        yield from _same(
            f"stpn.encoder.norms.{stage}",
            f"backbone.norm{stage}",
            f"{_ENCODER}.hidden_states_norms.stage{stage + 1}",
            _BOTH,
        )


def _swin_block(ours: str, detectron2: str, transformers: str) -> Iterator[Names]:
    for leaf in _BOTH:
        parts = (f"{transformers}.attention.self.{p}.{leaf}" for p in ("query", "key", "value"))
        yield Names(f"{ours}.attn.qkv.{leaf}", f"{detectron2}.attn.qkv.{leaf}", tuple(parts))
    yield from _same(
        f"{ours}.attn",
        f"{detectron2}.attn",
        f"{transformers}.attention.self",
        ("relative_position_bias_table",),
    )
    for name, theirs in (
        ("norm1", "layernorm_before"),
        ("norm2", "layernorm_after"),
        ("attn.proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ):
        yield from _same(
            f"{ours}.{name}", f"{detectron2}.{name}", f"{transformers}.{theirs}", _BOTH
        )


def _pixel_decoder(depths: Depths) -> Iterator[Names]:
    ours, detectron2 = "pixel_decoder", "sem_seg_head.pixel_decoder"
    for level in range(len(depths.stages) - 1):
        for place, part in enumerate(("conv", "norm")):
            yield from _same(
                f"{ours}.projections.{level}.{part}",
                f"{detectron2}.input_proj.{level}.{place}",
                f"{_PIXEL}.input_projections.{level}.{place}",
                _BOTH,
            )
    yield from _same(ours, f"{detectron2}.transformer", _PIXEL, ("level_embed",))
    for layer in range(depths.pixel_layers):
        mine, inner = f"{ours}.layers.{layer}", f"encoder.layers.{layer}"
        d2, hf = f"{detectron2}.transformer.{inner}", f"{_PIXEL}.{inner}"
        for part in ("sampling_offsets", "attention_weights", "value_proj", "output_proj"):
            yield from _same(
                f"{mine}.attention.{part}",
                f"{d2}.self_attn.{part}",
                f"{hf}.self_attn.{part}",
                _BOTH,
            )
        for part, theirs in (
            ("norm1", "self_attn_layer_norm"),
            ("linear1", "fc1"),
            ("linear2", "fc2"),
            ("norm2", "final_layer_norm"),
        ):
            yield from _same(f"{mine}.{part}", f"{d2}.{part}", f"{hf}.{theirs}", _BOTH)
    for part, theirs in (("lateral", "adapter_1"), ("output", "layer_1")):
        d2, hf = f"{detectron2}.{theirs}", f"{_PIXEL}.{theirs}"
        yield from _same(f"{ours}.{part}.conv", d2, f"{hf}.0", ("weight",))
        yield from _same(f"{ours}.{part}.norm", f"{d2}.norm", f"{hf}.1", _BOTH)
    yield from _same(
        f"{ours}.mask_features", f"{detectron2}.mask_features", f"{_PIXEL}.mask_projection", _BOTH
    )


def _query_decoder(layers: int) -> Iterator[Names]:
    detectron2 = "sem_seg_head.predictor"
    for part, d2, hf in (
        ("query_content", "query_feat", "queries_features"),
        ("query_position", "query_embed", "queries_embedder"),
        ("level_embedding", "level_embed", "level_embed"),
    ):
        yield from _same(f"decoder.{part}", f"{detectron2}.{d2}", f"{_QUERY}.{hf}", ("weight",))
    for layer in range(layers):
        yield from _decoder_layer(layer)
    hf = f"{_QUERY}.decoder"
    yield from _same("decoder.norm", f"{detectron2}.decoder_norm", f"{hf}.layernorm", _BOTH)
    yield from _same("decoder.classifier", f"{detectron2}.class_embed", "class_predictor", _BOTH)
    for layer in range(3):
        yield from _same(
            f"decoder.mask_mlp.{layer}",
            f"{detectron2}.mask_embed.layers.{layer}",
            f"{hf}.mask_predictor.mask_embedder.{layer}.0",
            _BOTH,
        )


def _decoder_layer(layer: int) -> Iterator[Names]:
    ours, hf = f"decoder.layers.{layer}", f"{_QUERY}.decoder.layers.{layer}"
    kinds = ("cross_attention", "self_attention", "ffn")
    cross, itself, ffn = (
        f"sem_seg_head.predictor.transformer_{kind}_layers.{layer}" for kind in kinds
    )
    yield from _same(
        f"{ours}.cross_attention", f"{cross}.multihead_attn", f"{hf}.cross_attn", _FUSED
    )
    for leaf in _BOTH:
        parts = (f"{hf}.self_attn.{part}_proj.{leaf}" for part in "qkv")
        yield Names(
            f"{ours}.self_attention.in_proj_{leaf}",
            f"{itself}.self_attn.in_proj_{leaf}",
            tuple(parts),
        )
    yield from _same(
        f"{ours}.self_attention.out_proj",
        f"{itself}.self_attn.out_proj",
        f"{hf}.self_attn.out_proj",
        _BOTH,
    )
    for part, d2, theirs in (
        ("cross_norm", f"{cross}.norm", "cross_attn_layer_norm"),
        ("self_norm", f"{itself}.norm", "self_attn_layer_norm"),
        ("linear1", f"{ffn}.linear1", "fc1"),
        ("linear2", f"{ffn}.linear2", "fc2"),
        ("ffn_norm", f"{ffn}.norm", "final_layer_norm"),
    ):
        yield from _same(f"{ours}.{part}", d2, f"{hf}.{theirs}", _BOTH)
