from __future__ import annotations

import dataclasses
import shutil

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.runs import weights_file
from stpn_data.readers import open_dataset
from stpn_vod.config import twin
from stpn_vod.model_file import load_trained
from stpn_vod.start import (
    open_split,
    starting_model,
    training_clips,
    training_index,
    validation_index,
    with_classes_of,
)

from .conftest import tiny_recipe


@pytest.fixture
def recipe(shapes):
    return with_classes_of(tiny_recipe(shapes), open_dataset(shapes, "train"))


def replaced(recipe, part: str, **changes):
    return dataclasses.replace(
        recipe, **{part: dataclasses.replace(getattr(recipe, part), **changes)}
    )


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_twin_starts_where_stpn_starts(recipe):
    prompted, single = (starting_model(r).state_dict() for r in (recipe, twin(recipe)))
    assert same(single, {k: v for k, v in prompted.items() if k in single})
    assert {k.split(".")[0] for k in prompted.keys() - single.keys()} == {"stpn", "presence"}
    other = starting_model(replaced(recipe, "run", seed=1)).state_dict()
    assert not same(prompted, other)


def test_the_twin_sees_the_same_clips(recipe):
    index = training_index(recipe.data)
    prompted, single = (
        training_clips(index, replaced(r, "data", support_dropout=0.5, flip=0.5, degrade=0.5))
        for r in (recipe, twin(recipe))
    )
    for place in range(len(prompted)):
        a, b = prompted[0, place], single[0, place]
        assert torch.equal(a.frame, b.frame)
        assert torch.equal(a.boxes, b.boxes)


@pytest.mark.parametrize("kind", ["run", "file"])
def test_a_run_may_start_from_another_with_other_classes(recipe, trained, kind):
    source = trained if kind == "run" else weights_file(trained)
    start = replaced(dataclasses.replace(recipe, init=str(source)), "model", num_classes=5)
    ours, theirs = starting_model(start).state_dict(), load_trained(trained).model.state_dict()
    same_shape = [key for key in ours if ours[key].shape == theirs[key].shape]
    assert all(torch.equal(ours[key], theirs[key]) for key in same_shape)
    left = {key.split(".")[0] for key in ours.keys() - set(same_shape)}
    assert left == {"roi", "presence"}


def test_an_initial_file_of_another_encoder_is_refused(recipe, trained):
    other = replaced(
        recipe, "model", arch={"embed_dim": 16, "depths": (1, 1, 1), "num_heads": (1, 2, 4)}
    )
    with pytest.raises(InputError, match=r"model\.safetensors"):
        starting_model(dataclasses.replace(other, init=str(weights_file(trained))))


def test_classes_come_from_the_data(shapes, shared):
    index = open_dataset(shapes, "train")
    wrong = replaced(tiny_recipe(shapes), "model", num_classes=30)
    with pytest.raises(InputError, match=r"3 classes.*30"):
        with_classes_of(wrong, index)
    with pytest.raises(InputError, match="no boxes with classes"):
        with_classes_of(tiny_recipe(shapes), dataclasses.replace(index, classes=()))


def test_no_data_says_which_flag(recipe):
    with pytest.raises(InputError, match=r"--data\.root"):
        open_split(replaced(recipe, "data", root="").data, "train")


def test_a_validation_split_that_is_not_there_says_how_to_do_without(recipe, shapes, tmp_path):
    shutil.copytree(shapes, tmp_path / "shapes")
    shutil.rmtree(tmp_path / "shapes" / "Data" / "VID" / "val")
    shutil.rmtree(tmp_path / "shapes" / "Annotations" / "VID" / "val")
    for file in (tmp_path / "shapes" / "ImageSets" / "VID").glob("*val*"):
        file.unlink()
    moved = replaced(recipe, "data", root=str(tmp_path / "shapes"))
    classes = training_index(moved.data).classes
    with pytest.raises(InputError, match=r"(?s)validation split.*--data\.val-split ''"):
        validation_index(moved, classes)
    assert validation_index(replaced(moved, "data", val_split=""), classes) is None


def test_validation_with_other_classes_is_refused(recipe):
    with pytest.raises(InputError, match=r"has classes .* training has a, b"):
        validation_index(recipe, ("a", "b"))
