"""Frames are resized as the settings say, wherever frames are resized."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_core.training import World
from stpn_data.readers import open_dataset
from stpn_data.support import OnlinePolicy
from stpn_data.transforms import EvalResize
from stpn_vod.evaluate import detect_all
from stpn_vod.predict import detect_video
from stpn_vod.predict_config import PredictConfig
from stpn_vod.recipes import get_recipe
from stpn_vod.start import training_clips
from stpn_vod.stream import detect_frames

from .conftest import tiny_recipe
from .test_predict import folder_of
from .test_stream import scene, video


def test_prediction_resizes_as_asked(detector, tmp_path):
    images = scene(3, seed=4, size=(90, 144))
    folder = folder_of(images, tmp_path / "walk")
    config = PredictConfig(policy="online", count=2, stride=1, score=0, short_side=40, long_side=64)
    found = {}
    for how in ("antialias", "cv2"):
        asked = dataclasses.replace(config, resampling=how)
        found[how] = [result.found.boxes for result in detect_video(detector, folder, asked)]
        resize = EvalResize(40, 64, how)
        frames = detect_frames(detector.model, video(images), OnlinePolicy(2, 1), resize=resize)
        expected = [result.found.boxes for result in frames]
        assert all(torch.equal(a, b) for a, b in zip(found[how], expected, strict=True))
    one, other = (torch.cat(boxes) for boxes in found.values())
    assert one.shape != other.shape or not torch.equal(one, other)


def test_evaluation_resizes_as_asked(detector, shapes):
    index = open_dataset(shapes, "val")
    config = dataclasses.replace(tiny_recipe(shapes).eval, short_side=40, long_side=40)
    alone = World(0, 1, 0, torch.device("cpu"))
    boxes = [
        detect_all(detector.model, index, dataclasses.replace(config, resampling=how), alone).boxes
        for how in ("antialias", "cv2", "cv2")
    ]
    assert boxes[0].shape != boxes[1].shape or (boxes[0] != boxes[1]).any()
    assert (boxes[1] == boxes[2]).all()


@pytest.mark.parametrize("how", ["antialias", "cv2"])
def test_training_resizes_as_asked(shapes, how):
    recipe = tiny_recipe(shapes)
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, resampling=how))
    assert training_clips(open_dataset(shapes, "train"), recipe).transform.resampling == how


def test_the_released_recipes_resize_as_the_released_code():
    recipe = get_recipe("vid_swin_t_released")
    assert (recipe.data.resampling, recipe.eval.resampling, recipe.model.pad_to) == (
        "cv2",
        "cv2",
        16,
    )
    recipe = get_recipe("vid_swin_t")
    assert (recipe.data.resampling, recipe.eval.resampling) == ("antialias", "antialias")
    assert recipe.model.pad_to == 32
