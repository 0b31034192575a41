from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_core.command import replace_in
from stpn_core.errors import InputError
from stpn_core.runs import weights_file
from stpn_core.training import World
from stpn_core.weights import load_state, save_weights
from stpn_vot.config import static, twin
from stpn_vot.run_state import prepare
from stpn_vot.start import (
    starting_model,
    training_clips,
    training_indexes,
    validation_index,
    with_classes_of,
)
from stpn_vot.weights import read_tracker, save_tracker

from .conftest import tiny_recipe
from .networks import TINY, tracker

ALONE = World(0, 1, 0, torch.device("cpu"))


@pytest.fixture
def recipe(squares):
    return tiny_recipe(squares)


@pytest.fixture
def indexes(recipe):
    return training_indexes(recipe.data)


def test_the_twin_and_the_control_start_where_stpn_starts(recipe):
    aided = replace_in(recipe, "model", prompt_aux=0.1, num_classes=3)
    stpn, plain = starting_model(aided).state_dict(), starting_model(twin(aided)).state_dict()
    assert {k for k in stpn if k not in plain} == {
        k for k in stpn if k.startswith(("predictor.", "presence."))
    }
    control = starting_model(static(aided)).state_dict()
    for key, value in plain.items():
        assert torch.equal(stpn[key], value)
        assert torch.equal(control[key], value)


def test_all_see_the_same_clips(recipe, indexes):
    ours, theirs = (training_clips(indexes, one) for one in (recipe, twin(recipe)))
    for position in range(3):
        a, b = ours[0, position], theirs[0, position]
        assert a.name == b.name
        assert torch.equal(a.search, b.search)
        assert torch.equal(a.template, b.template)
        assert torch.equal(a.box, b.box)


def test_clips_are_those_of_the_stage(recipe, indexes):
    def shown(stage: str) -> set[float]:
        clips = training_clips(indexes, replace_in(recipe, "objective", stage=stage))
        return {float(clips[0, position].positive) for position in range(12)}

    assert shown("boxes") == {1.0}
    assert shown("scores") == shown("both") == {0.0, 1.0}


def test_several_data_sets_are_drawn_by_their_weights(recipe, indexes):
    recipe = replace_in(recipe, "data", weights=(1.0, 1e9))
    other = dataclasses.replace(
        indexes[0], video_names=tuple(f"b{name}" for name in indexes[0].video_names)
    )
    clips = training_clips([*indexes, other], recipe)
    assert all(clips[0, position].name.startswith("b") for position in range(6))
    assert len(clips.classes) == 3


def test_classes_are_counted_where_prompts_are_asked_for_them(recipe, indexes):
    clips = training_clips(indexes, recipe)
    assert with_classes_of(recipe, clips) == recipe
    aided = replace_in(recipe, "model", prompt_aux=0.1)
    assert with_classes_of(aided, clips).model.num_classes == 3


def test_videos_to_validate_on(recipe, squares):
    index = validation_index(recipe)
    assert index is not None
    assert (index.num_videos, index.num_frames) == (1, 3)
    assert validation_index(replace_in(recipe, "data", val_split="")) is None


def test_the_second_stage_starts_from_the_first(recipe, trained, caplog):
    """The run has a score head, too; one of the first stage has none."""
    first = tracker(dataclasses.replace(recipe.model, score=False))
    boxes = trained.parent / "boxes.safetensors"
    save_tracker(boxes, first.state_dict(), dataclasses.replace(recipe.model, score=False))
    for source in (boxes, trained):
        model = starting_model(dataclasses.replace(recipe, init=str(source)))
        given = read_tracker(weights_file(source)).state
        assert all(torch.equal(value, given[key]) for key, value in model.state_dict().items()
                   if key in given)  # fmt: skip
        assert all(key in given or key.startswith("score_head.") for key in model.state_dict())


def test_an_encoder_is_enough_to_start_from(recipe, tmp_path):
    path = tmp_path / "encoder.safetensors"
    encoder = tracker(TINY, seed=5).encoder
    save_weights(path, {f"encoder.{k}": v for k, v in encoder.state_dict().items()}, {})
    model = starting_model(dataclasses.replace(recipe, init=str(path)))
    assert all(
        torch.equal(v, encoder.state_dict()[k]) for k, v in model.encoder.state_dict().items()
    )


def test_weights_of_more_data_are_no_start_for_the_protocol(recipe, tmp_path):
    path = tmp_path / "full.safetensors"
    save_tracker(path, tracker(recipe.model).state_dict(), recipe.model, "full")
    recipe = dataclasses.replace(recipe, init=str(path))
    for protocol in ("full", "unknown"):
        starting_model(dataclasses.replace(recipe, protocol=protocol))
    with pytest.raises(InputError, match="set --protocol full"):
        starting_model(dataclasses.replace(recipe, protocol="got10k"))


def test_without_weights_search_regions_see_templates_from_the_start(recipe):
    """With CvT's own deviation they hardly do: the control."""
    started = starting_model(recipe)
    plain = tracker(recipe.model)
    rng = torch.Generator().manual_seed(0)
    search = torch.randn(1, 3, 96, 96, generator=rng)
    templates = torch.randn(2, 1, 3, 48, 48, generator=rng)

    def moved(model) -> float:
        model.eval()
        with torch.no_grad():
            one, other = (model.encode(each[None], search).features for each in templates)
        return float((one - other).norm() / one.norm())

    torch.manual_seed(0)
    from stpn_vot.build import build_tracker

    plain = build_tracker(recipe.model)
    load_state(plain, build_tracker(recipe.model).state_dict(), what="fresh")
    assert moved(started) > 10 * moved(plain)


def test_rates_and_decay_of_each_part_and_what_is_frozen(recipe):
    recipe = replace_in(recipe, "optim", encoder_lr=0.5, predictor_lr=4.0)
    training = prepare(recipe, ALONE, 1, resumed=True)
    groups = training.optimizer.param_groups
    found = {
        name: (group["lr_multiplier"], group["weight_decay"])
        for group in groups
        for name, parameter in training.model.named_parameters()
        if any(parameter is one for one in group["params"])
    }
    decay = recipe.optim.weight_decay
    assert found["encoder.stages.0.blocks.0.mlp.fc1.weight"] == (0.5, decay)
    assert found["encoder.stages.0.blocks.0.norm1.weight"] == (0.5, 0.0)
    assert found["predictor.reduction.weight"] == (4.0, decay)
    assert found["predictor.query"] == (4.0, 0.0)
    assert found["score_head.token"] == (1.0, 0.0)
    assert found["box_head.top_left.last.weight"] == (1.0, decay)
    assert set(found) == {name for name, _ in training.model.named_parameters()}
    frozen = replace_in(recipe, "objective", stage="scores")
    training = prepare(frozen, ALONE, 1, resumed=True)
    left = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
    assert left == {id(p) for p in training.model.score_head.parameters()}
