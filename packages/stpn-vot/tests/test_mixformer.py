"""The tracker network: the original's numbers, and what prompts may and may not change."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from stpn_core.cvt import CvtEncoder
from stpn_core.errors import InputError
from stpn_vot.mixformer import MixFormer
from stpn_vot.template_cache import encode_templates, join_caches

from .networks import PROMPTED, TINY, golden_tracker, images, tracker


def cxcywh(boxes: Tensor) -> Tensor:
    low, high = boxes[:, :2], boxes[:, 2:]
    return torch.cat([(low + high) / 2, high - low], dim=1)


def near(found: Tensor, wanted: Tensor, tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= tolerance


def stage(encoder: CvtEncoder, count: int) -> CvtEncoder:
    """The first stages of an encoder, to see maps on the way."""
    return CvtEncoder([copy.deepcopy(part) for part in list(encoder.stages)[:count]])  # type: ignore[misc]


@torch.no_grad()
def test_a_joint_pass_gives_the_original_s_numbers(golden):
    tensors, facts = golden("vot/mixformer_joint_n1")
    close: dict[str, float] = facts["tolerance"]
    model = golden_tracker(tensors, facts)
    templates = torch.stack([tensors["in.template"], tensors["in.online"]], dim=1)
    for count in (1, 2, 3):
        part = stage(model.encoder, count)
        for order, name in ((0, "template"), (1, "online")):
            turned = templates.roll(-order, 1)  # the cache holds the first template's map
            found = encode_templates(part, turned).first
            near(found, tensors[f"out.stage{count - 1}.{name}"], close["features_abs"])
    cache = model.encode_templates(templates)
    maps = model.encoder(tensors["in.search"], None, cache.blocks).maps
    for index in (1, 2):
        near(maps[index], tensors[f"out.stage{index}.search"], close["features_abs"])
    logits = model.box_head.logits(maps[2])
    for found, name in zip(logits, ("tl", "br"), strict=True):
        near(found, tensors[f"out.score_map_{name}"], close["score_maps_abs"])
        near(found.flatten(1).softmax(1), tensors[f"out.prob_{name}"], 1e-4)
    located = model(templates, tensors["in.search"])
    near(located.boxes, tensors["out.corner_xyxy"], close["boxes_abs"])
    near(cxcywh(located.boxes)[:, None], tensors["out.pred_boxes"], close["boxes_abs"])
    near(located.scores, tensors["out.pred_scores"], close["scores_abs"])


@pytest.mark.parametrize("online", [1, 2, 3])
@torch.no_grad()
def test_cached_templates_give_the_original_s_numbers(golden, online):
    tensors, facts = golden("vot/mixformer_cached_n123")
    close: dict[str, float] = facts["tolerance"]
    want = {
        key.removeprefix(f"out.n{online}."): value
        for key, value in tensors.items()
        if key.startswith(f"out.n{online}.")
    }
    model = golden_tracker(tensors, facts)
    templates = torch.cat([tensors["in.template"], tensors["in.online"][:online]])[None]
    for count in (2, 3):
        near(
            encode_templates(stage(model.encoder, count), templates).first,
            want[f"stage{count - 1}.template"],
            close["features_abs"],
        )
    cache = model.encode_templates(templates)
    block = model.encoder.stages[1].blocks[0].attn
    for mine, layer, letter in zip(
        cache.blocks[1], (block.proj_k, block.proj_v), ("k", "v"), strict=True
    ):
        name = "cache.stage1.block0.{}_" + letter
        theirs = torch.cat([want[name.format("t")], want[name.format("ot")]], dim=1)
        near(mine.transpose(1, 2).flatten(2), layer(theirs), 3e-4)
    for frame in range(2):
        search = tensors["in.search"][frame : frame + 1]
        maps = model.encoder(search, None, cache.blocks).maps
        features = model.encode_search(search, cache)
        near(maps[1], want["stage1.search"][frame : frame + 1], close["features_abs"])
        near(features, want["stage2.search"][frame : frame + 1], close["features_abs"])
        found = model.locate(features, cache)
        near(found.boxes, want["corner_xyxy"][frame : frame + 1], close["boxes_abs"])
        near(found.scores, want["pred_scores"][frame : frame + 1], close["scores_abs"])
        region = tensors["in.gt_boxes_xyxy"][frame : frame + 1]
        judged = model.locate(features, cache, region)
        near(judged.scores, want["pred_scores_gt_box"][frame : frame + 1], close["scores_abs"])


def joint(encoder: CvtEncoder, templates: Tensor, search: Tensor, prompts: Tensor | None) -> Tensor:
    """Mixed attention said again: all tokens side by side, one mask, no cache."""
    count = templates.shape[1]
    maps = [*templates.unbind(1), search]
    for index, part in enumerate(encoder.stages):
        embedded = [part.patch_embed(image) for image in maps]
        grids = [group.grid for _, group in embedded]
        tokens = [each for each, _ in embedded]
        if prompts is not None:
            prompts = encoder.next_stage(index, prompts) if index else prompts
            tokens.append(prompts)
        for block in part.blocks:
            attention, seen, keys, values, queries = block.attn, [], [], [], []
            for place, x in enumerate(tokens):
                y = block.norm1(x)
                grid = grids[place] if place < len(grids) else None
                for conv, into in (
                    (attention.conv_proj_q, queries),
                    (attention.conv_proj_k, keys),
                    (attention.conv_proj_v, values),
                ):
                    as_map = None if grid is None else y.transpose(1, 2).unflatten(2, grid)
                    into.append(y if as_map is None else conv(as_map).flatten(2).transpose(1, 2))
                seen.append(place < count)  # a template
            q, k, v = (
                linear(torch.cat(parts, 1)).unflatten(2, (attention.heads, -1)).transpose(1, 2)
                for linear, parts in (
                    (attention.proj_q, queries),
                    (attention.proj_k, keys),
                    (attention.proj_v, values),
                )
            )
            is_template = [
                torch.tensor(seen).repeat_interleave(torch.tensor([p.shape[1] for p in parts]))
                for parts in (queries, keys)
            ]
            allowed = ~is_template[0][:, None] | is_template[1]
            weights = q @ k.transpose(-1, -2) * q.shape[1] ** -0.5 * q.shape[3] ** -0.5
            weights = weights.masked_fill(~allowed, float("-inf")).softmax(-1)
            gathered = attention.proj((weights @ v).transpose(1, 2).flatten(2))
            gathered = gathered.split([x.shape[1] for x in tokens], dim=1)
            tokens = [x + g for x, g in zip(tokens, gathered, strict=True)]
            tokens = [x + block.mlp(block.norm2(x)) for x in tokens]
        if prompts is not None:
            prompts = tokens.pop()
        maps = [x.transpose(1, 2).unflatten(2, grid) for x, grid in zip(tokens, grids, strict=True)]
    return maps[-1]


@pytest.mark.parametrize("prompted", [False, True])
@pytest.mark.parametrize("side", [96, 80])  # 80: maps of 5 x 5, an odd size
@torch.no_grad()
def test_cached_equals_joint(prompted, side):
    model = tracker()
    templates, search = images(2, 3, 3, 48, 48), images(2, 3, side, side, seed=2)
    prompts = images(2, 9, 8, seed=3) if prompted else None
    found = model.encode_search(search, model.encode_templates(templates), prompts)
    wanted = joint(model.encoder, templates, search, prompts)
    scale = wanted.abs().max()
    near(found / scale, wanted / scale, 1e-6)


@torch.no_grad()
def test_each_sequence_depends_on_its_own_images_only():
    model = tracker()
    inputs = [images(2, 3, 3, 48, 48), images(2, 3, 96, 96), images(2, 2, 3, 96, 96)]
    whole = model(*inputs)
    spoiled = [torch.cat([x[:1], torch.full_like(x[1:], torch.nan)]) for x in inputs]
    alone = model(*spoiled)
    assert torch.isnan(alone.boxes[1]).all(), "the second sequence was spoiled"
    near(alone.boxes[0], whole.boxes[0], 1e-6)
    near(alone.scores[0], whole.scores[0], 1e-5)


@torch.no_grad()
def test_without_prompts_it_is_mixformer_bit_for_bit():
    model, plain = tracker(), tracker(TINY)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "predictor" not in k})
    templates, search = images(2, 2, 3, 48, 48), images(2, 3, 96, 96)
    found, wanted = model(templates, search), plain(templates, search)
    assert torch.equal(found.boxes, wanted.boxes)
    assert torch.equal(found.scores, wanted.scores)
    support = images(2, 2, 3, 96, 96, seed=5)
    none = model(templates, search, support, torch.zeros(2, 2, dtype=torch.bool))
    assert torch.equal(none.boxes, wanted.boxes)
    prompted = model(templates, search, support)
    assert not torch.equal(prompted.boxes, wanted.boxes)


@torch.no_grad()
def test_rows_without_support_take_the_plain_path():
    model = tracker()
    templates, search = images(2, 2, 3, 48, 48), images(2, 3, 96, 96)
    support = images(2, 2, 3, 96, 96, seed=5)
    valid = torch.tensor([[False, False], [True, False]])
    support[~valid] = torch.nan
    found = model(templates, search, support, valid)
    near(found.boxes[:1], model(templates[:1], search[:1]).boxes, 1e-6)
    kept = model(templates[1:], search[1:], support[1:, :1])
    near(found.boxes[1:], kept.boxes, 1e-6)
    assert not torch.allclose(kept.boxes, model(templates[1:], search[1:]).boxes, atol=1e-6)


@torch.no_grad()
def test_caches_of_several_targets_are_joined():
    model = tracker()
    templates, search = images(3, 2, 3, 48, 48), images(3, 3, 96, 96)
    whole = model.encode_templates(templates)
    joined = join_caches([model.encode_templates(row[None]) for row in templates])
    near(model.encode_search(search, joined), model.encode_search(search, whole), 1e-5)
    one = model.encode_templates(templates[:1, :1])
    with pytest.raises(InputError, match="as many templates"):
        join_caches([whole, one])


OPTIONS: list[dict[str, Any]] = [
    {"prompt_attention": "map"},
    {"prompt_downscale": "linear", "num_prompts": 5},
    {"prompt_downscale": "predict", "deep": True},
    {"deep": True, "predictor": "static"},
    {"predictor": "mixer", "predictor_options": {"grid": 3}},
    {"head": "pyramid", "score": False},
    {"checkpointing": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_gradients_reach_every_parameter(options):
    model = tracker(dataclasses.replace(PROMPTED, **options)).train()
    inputs = (images(2, 2, 3, 48, 48), images(2, 3, 96, 96), images(2, 2, 3, 96, 96, seed=4))
    found = model(*inputs)
    loss = found.boxes.square().sum()
    if found.scores is not None:
        loss = loss + found.scores.square().sum()
    loss.backward()
    frozen = {name for name, p in model.named_parameters() if p.grad is None}
    assert frozen == set()
    reached = model.encoder.stages[0].patch_embed.proj.weight.grad
    assert reached is not None
    assert reached.abs().sum() > 0


def test_recomputed_blocks_give_the_same_gradients():
    grads = []
    for checkpointing in (False, True):
        config = dataclasses.replace(PROMPTED, checkpointing=checkpointing, drop_path=0.0)
        model = tracker(config)
        found = model(images(1, 2, 3, 48, 48), images(1, 3, 96, 96), images(1, 1, 3, 96, 96))
        (found.boxes.sum() + found.scores.sum()).backward()
        grads.append({k: p.grad for k, p in model.named_parameters()})
    for key, grad in grads[0].items():
        near(grad, grads[1][key], 1e-5 * max(1.0, float(grad.abs().max())))


def test_a_batch_without_support_still_gives_the_predictor_a_gradient():
    model = tracker()
    valid = torch.zeros(1, 1, dtype=torch.bool)
    inputs = images(1, 1, 3, 48, 48), images(1, 3, 96, 96), images(1, 1, 3, 96, 96)
    model(*inputs, valid).boxes.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.predictor.parameters())


@pytest.mark.parametrize("shape", [(3, 48, 48), (1, 0, 3, 48, 48), (1, 1, 4, 48, 48)])
def test_templates_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match="templates must be"):
        tracker(TINY).encode_templates(torch.zeros(shape))


def test_wrong_inputs_are_refused():
    model: MixFormer = tracker(TINY)
    cache = model.encode_templates(images(1, 1, 3, 48, 48))
    with pytest.raises(InputError, match="support must be"):
        model.embed_support(images(2, 1, 3, 96, 96), cache)
    with pytest.raises(InputError, match="twin without prompts"):
        model.predict_prompts(images(1, 1, 6, 6, 16))
    with pytest.raises(InputError, match="4 blocks, got 1"):
        model.encoder(images(1, 3, 96, 96), None, cache.blocks[:1])
