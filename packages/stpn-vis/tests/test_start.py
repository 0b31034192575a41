from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import torch
from torch import nn

from stpn_core.errors import InputError
from stpn_core.runs import weights_file
from stpn_core.training import World
from stpn_data.readers import open_dataset
from stpn_vis.config import twin
from stpn_vis.model_file import load_trained
from stpn_vis.run_state import prepare
from stpn_vis.start import (
    open_videos,
    starting_model,
    training_clips,
    training_videos,
    validation_index,
    with_classes_of,
)

from .conftest import CLASSES, tiny_recipe

ALONE = World(0, 1, 0, torch.device("cpu"))


@pytest.fixture
def index(painted):
    return open_dataset(painted, "train")


@pytest.fixture
def recipe(painted, index):
    return with_classes_of(tiny_recipe(painted), index)


def test_the_twin_starts_where_stpn_starts(recipe):
    stpn, single = starting_model(recipe).state_dict(), starting_model(twin(recipe)).state_dict()
    assert {k for k in stpn if k not in single} == {
        k for k in stpn if k.startswith(("stpn.predictor.", "presence."))
    }
    assert all(torch.equal(stpn[key], value) for key, value in single.items())


def test_both_see_the_same_key_frames(recipe, index):
    ours, theirs = (training_clips(index, one) for one in (recipe, twin(recipe)))
    for position in range(4):
        a, b = ours[0, position], theirs[0, position]
        assert torch.equal(a.frame, b.frame)
        assert torch.equal(a.masks, b.masks)
        assert a.masks.shape[1:] == a.frame.shape[1:]


def test_videos_and_frames_without_an_object_are_clips_too(recipe, index):
    clips = training_clips(index, recipe)
    assert len(clips) == 4
    drawn = [clips[epoch, 0] for epoch in range(30)]
    assert {clip.name for clip in drawn} == {f"v1/{t:05d}" for t in range(6)}
    assert {len(clip.labels) for clip in drawn} == {0, 1, 2}


def test_objects_that_stand_for_a_group_are_not_trained_on(recipe, painted, tmp_path):
    root = tmp_path / "crowds"
    shutil.copytree(painted, root)
    content = json.loads((root / "train.json").read_text())
    for row in content["annotations"]:
        row["iscrowd"] = int(row["category_id"] == 2)
    (root / "train.json").write_text(json.dumps(content))
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, root=str(root)))

    def labels(index):
        clips = training_clips(index, recipe)
        found = [clips[epoch, position] for epoch in range(4) for position in range(len(clips))]
        shown = {int(label) for clip in found for label in clip.support_labels}
        return {int(label) for clip in found for label in clip.labels}, shown

    assert labels(open_videos(root, "train")) == ({0, 1}, {0, 1})
    assert labels(training_videos(recipe)) == ({0}, {0})


def test_the_file_of_a_run_and_its_class_layer(recipe, trained):
    source = weights_file(trained)
    before = load_trained(trained).model.state_dict()
    layer = [key for key in before if key.startswith("decoder.classifier.")]
    for head, kept in (("drop", False), ("keep", True)):
        one = dataclasses.replace(recipe, init=str(trained), class_head=head)
        state = starting_model(one, CLASSES).state_dict()
        assert all(torch.equal(state[key], before[key]) == kept for key in layer)
        assert all(torch.equal(state[key], before[key]) for key in before if key not in layer)
    with pytest.raises(InputError, match="COCO's has 81"):
        starting_model(dataclasses.replace(recipe, init=str(source), class_head="coco"), CLASSES)


def test_splits_are_opened_and_compared(recipe):
    with pytest.raises(InputError, match=r"--data\.root"):
        open_videos("", "train")
    other = dataclasses.replace(recipe.data, val_split="train[50%:]")
    held = validation_index(dataclasses.replace(recipe, data=other), CLASSES)
    assert held is not None
    assert held.num_videos == 2
    with pytest.raises(InputError, match="both splits need the same"):
        validation_index(recipe, ("square", "disc"))


def test_a_split_without_annotations_cannot_validate(recipe, painted, tmp_path):
    root = tmp_path / "painted"
    shutil.copytree(painted, root)
    content = json.loads((root / "valid.json").read_text())
    del content["annotations"]
    (root / "valid.json").write_text(json.dumps(content))
    bare = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, root=str(root)))
    with pytest.raises(InputError, match=r"official validation.*train\[90%:\]"):
        validation_index(bare, CLASSES)


def test_rates_and_decay_of_each_part(recipe):
    optim = dataclasses.replace(recipe.optim, encoder_lr=0.1, predictor_lr=2.0, weight_decay=0.05)
    training = prepare(dataclasses.replace(recipe, optim=optim), ALONE, 4, CLASSES, resumed=False)
    group_of = {
        id(parameter): group
        for group in training.optimizer.param_groups
        for parameter in group["params"]
    }
    for name, parameter in training.model.named_parameters():
        group = group_of[id(parameter)]
        rate = {"stpn.encoder": 0.1, "stpn.predictor": 2.0}.get(".".join(name.split(".")[:2]), 1.0)
        assert group["lr_multiplier"] == rate, name
    spared = (nn.LayerNorm, nn.GroupNorm, nn.Embedding)
    for name, module in training.model.named_modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            decays = group_of[id(parameter)]["weight_decay"] == 0.05
            if isinstance(module, spared) or leaf in ("bias", "query"):
                assert not decays, f"{name}.{leaf}"
            elif isinstance(module, nn.Linear | nn.Conv2d):
                assert decays, f"{name}.{leaf}"
