"""SELSA through training, evaluation and prediction, as a user runs them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.training import World
from stpn_data.image import decode_image
from stpn_data.readers import open_dataset
from stpn_data.sequence import EvalVideo, evaluation_videos
from stpn_data.support import OnlinePolicy, Policy, UniformPolicy, WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame
from stpn_vod.config import Recipe, twin
from stpn_vod.detections import Detections
from stpn_vod.evaluate import evaluate
from stpn_vod.model_file import TrainedDetector, load_trained
from stpn_vod.predict import predict
from stpn_vod.predict_config import PredictConfig
from stpn_vod.recipes import get_recipe
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.start import starting_model
from stpn_vod.stream import detect_frames, detect_step, start_detection
from stpn_vod.train import train
from stpn_vod.video_inference import detect_sequence

from .conftest import tiny_recipe

BOTH = pytest.mark.parametrize("predictor", [None, "attention"], ids=["selsa", "stpn_selsa"])
RESIZE = EvalResize(64, 64)


def _recipe(data: Path, predictor: str | None) -> Recipe:
    recipe = tiny_recipe(data, steps=2)
    model = dataclasses.replace(
        recipe.model,
        head="selsa",
        predictor=predictor,
        predictor_options=recipe.model.predictor_options if predictor else {},
        prompt_aux=recipe.model.prompt_aux if predictor else 0.0,
    )
    return dataclasses.replace(recipe, model=model)


@pytest.fixture(scope="module")
def detectors(shapes, tmp_path_factory) -> dict[str | None, TrainedDetector]:
    """One trained detector of each kind; two steps, so the weights are made to differ by hand."""
    made = {}
    for predictor in (None, "attention"):
        out = tmp_path_factory.mktemp("runs") / str(predictor)
        assert train(_recipe(shapes, predictor), out) == 0
        made[predictor] = load_trained(out)
        torch.manual_seed(0)
        with torch.no_grad():
            model = made[predictor].model
            for layer in (model.rpn.objectness, model.rpn.deltas, model.roi.classify):
                layer.weight.normal_(std=0.5)
    return made


def _video(shapes: Path) -> EvalVideo:
    return evaluation_videos(open_dataset(shapes, "val"), RESIZE)[0]


def _frames(video: EvalVideo) -> list[VideoFrame]:
    places = video.index.frames_of(video.video)
    images = (decode_image(video.index.frame_path(i)) for i in places)
    return [VideoFrame(t, image, t / 25, str(t)) for t, image in enumerate(images)]


def _close(found: Detections, expected: Detections) -> bool:
    if len(found) != len(expected) or not torch.equal(found.labels, expected.labels):
        return False
    return torch.allclose(found.boxes, expected.boxes, atol=1e-2) and torch.allclose(
        found.scores, expected.scores, atol=1e-5
    )


@BOTH
def test_a_run_trains_and_evaluates(detectors, shapes, predictor):
    detector = detectors[predictor]
    assert isinstance(detector.model, SelsaDetector)
    assert detector.config.head == "selsa"
    world = World(0, 1, 0, torch.device("cpu"))
    config = _recipe(shapes, predictor).eval
    scores = evaluate(detector.model, open_dataset(shapes, "val"), config, world)
    assert 0 <= scores["AP50"] <= 1


@BOTH
@pytest.mark.parametrize(
    "policy", [WindowPolicy(2, 2), OnlinePolicy(2, 2), UniformPolicy(3)], ids=str
)
def test_a_stream_gives_what_evaluation_gives(detectors, shapes, predictor, policy: Policy):
    model, video = detectors[predictor].model, _video(shapes)
    frames = _frames(video)
    batched = [found for _, found in detect_sequence(model, video, policy, batch_size=3)]
    given = [frames[i].image for i in policy.indices(0, 8)] if policy.lookahead > 99 else []
    streamed = detect_frames(model, frames, policy, resize=RESIZE, cuts=False, support=given)
    streamed = [result.found for result in streamed]
    assert len(streamed) == len(batched) == 8
    assert all(_close(a, b) for a, b in zip(streamed, batched, strict=True))
    alone = detect_frames(model, frames, UniformPolicy(3), resize=RESIZE)
    agree = [_close(a.found, b) for a, b in zip(alone, batched, strict=True)]
    assert not all(agree), "control: the support does act"


@BOTH
@pytest.mark.parametrize("policy", [WindowPolicy(1, 2), UniformPolicy(2)], ids=str)
def test_prediction_writes_what_evaluation_gives(detectors, shapes, predictor, policy, tmp_path):
    detector, video = detectors[predictor], _video(shapes)
    folder = video.index.frame_path(video.index.frames_of(video.video)[0]).parent
    name = "uniform" if isinstance(policy, UniformPolicy) else "window"
    config = PredictConfig(name, 2, 2, 0.0, 64, 64, cuts=False, video=False)
    assert predict(detector, str(folder), tmp_path, config).frames == 8
    lines = (tmp_path / "detections.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["prompted"] for record in records] == [predictor is not None] * 8
    for record, (_, found) in zip(
        records, detect_sequence(detector.model, video, policy), strict=True
    ):
        scores = torch.tensor([one["score"] for one in record["objects"]])
        assert len(scores)
        torch.testing.assert_close(scores, found.scores, atol=2e-5, rtol=0)


def test_a_state_stays_with_its_detector(detectors, shapes):
    selsa = detectors[None].model
    plain = starting_model(twin(_start(shapes, None))).eval()
    frame = _frames(_video(shapes))[0]
    for owner, other in ((selsa, plain), (plain, selsa)):
        state = start_detection(owner, OnlinePolicy(2, 2), resize=RESIZE)
        with pytest.raises(InputError, match="stays with the detector that began it"):
            detect_step(other, state, frame)


def _start(shapes: Path, predictor: str | None) -> Recipe:
    recipe = _recipe(shapes, predictor)
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, num_classes=3))


@BOTH
def test_the_twin_starts_where_selsa_starts(shapes, predictor):
    recipe = _start(shapes, predictor)
    own, single = starting_model(recipe).state_dict(), starting_model(twin(recipe)).state_dict()
    assert not any(key.startswith("selsa.") for key in single)
    assert all(torch.equal(own[key], value) for key, value in single.items())
    again = starting_model(recipe).state_dict()
    assert all(torch.equal(own[key], value) for key, value in again.items())


def test_recipes_are_those_of_the_plain_detector_with_another_head():
    base, both, alone = (
        get_recipe(name) for name in ("vid_swin_t", "vid_swin_t_stpn_selsa", "vid_swin_t_selsa")
    )
    model = dataclasses.replace(base.model, head="selsa", support_grad=True)
    assert dataclasses.replace(both, name=base.name) == dataclasses.replace(base, model=model)
    model = dataclasses.replace(both.model, predictor=None, prompt_aux=0.0)
    assert dataclasses.replace(alone, name=both.name) == dataclasses.replace(both, model=model)
    assert twin(alone).model == dataclasses.replace(twin(base).model, support_grad=True)
