from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from stpn_data.support import OnlinePolicy, UniformPolicy, WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_vod.app.lanes import lanes_of, side_by_side, without_prompts
from stpn_vod.build import build_detector
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.stream import detect_frames

from ..test_stream import scene, video

RESIZE = EvalResize(40, 64)


def same(a, b) -> bool:
    return all(torch.equal(getattr(a, n), getattr(b, n)) for n in ("boxes", "scores", "labels"))


@pytest.mark.parametrize(
    "policy",
    [WindowPolicy(1, 2), OnlinePolicy(2, 2), UniformPolicy(3)],
    ids=lambda p: type(p).__name__,
)
def test_every_lane_answers_as_it_does_alone(detector, twin_detector, policy):
    images = scene(9, seed=1)
    support = images[::4] if isinstance(policy, UniformPolicy) else ()
    lanes = lanes_of(detector, twin_detector)
    assert [lane.key for lane in lanes] == ["prompts", "off", "twin"]
    taken = []
    answers = list(
        side_by_side(
            lanes, video(images), policy, RESIZE, support=support, taken=lambda: taken.append(1)
        )
    )
    assert [answer.frame.index for answer in answers] == list(range(9))
    assert len(taken) == 9
    off = copy.deepcopy(detector.model)
    off.stpn.predictor = None
    for i, model in enumerate((detector.model, off, twin_detector.model)):
        given = support if i == 0 else ()
        alone = list(detect_frames(model, video(images), policy, resize=RESIZE, support=given))
        for answer, result in zip(answers, alone, strict=True):
            assert same(answer.found[i], result.found)
            assert answer.has_prompt[i] == result.has_prompt
    assert any(answer.has_prompt[0] for answer in answers)
    # control: prompts matter to this detector, so the first two lanes are told apart
    assert not all(same(answer.found[0], answer.found[1]) for answer in answers)


def test_answers_come_as_soon_as_the_policy_allows(detector):
    """Two frames ahead: after the third frame went in, the first answer comes out."""
    seen = []
    frames = (seen.append(frame.index) or frame for frame in video(scene(6, seed=1)))
    answers = side_by_side(lanes_of(detector), frames, WindowPolicy(1, 2), RESIZE)
    assert next(answers).frame.index == 0
    assert seen == [0, 1, 2]


def test_a_detector_without_prompts_has_one_lane(twin_detector):
    assert [lane.key for lane in lanes_of(twin_detector)] == ["detector"]
    assert not lanes_of(twin_detector)[0].uses_support


def test_weights_are_shared(detector):
    bare = without_prompts(detector.model)
    assert bare.stpn.predictor is None
    assert detector.model.stpn.predictor is not None
    ours = {p.data_ptr() for p in detector.model.parameters()}
    assert {p.data_ptr() for p in bare.parameters()} < ours


def test_selsa_keeps_its_references(detector):
    config = dataclasses.replace(detector.config, head="selsa")
    torch.manual_seed(0)
    model = build_detector(config).eval()
    lanes = lanes_of(dataclasses.replace(detector, model=model, config=config))
    assert isinstance(lanes[1].model, SelsaDetector)
    assert lanes[1].uses_support
    answers = list(side_by_side(lanes, video(scene(4, seed=2)), OnlinePolicy(2, 1), RESIZE))
    assert [answer.has_prompt for answer in answers[1:]] == [(True, False)] * 3
