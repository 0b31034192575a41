from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from stpn_core.explain import mass_pictures, support_weights
from stpn_core.explain import support_look as looks
from stpn_core.explain.pictures import heat_over, rows_of
from stpn_data.open_any import open_source
from stpn_data.sequence import EvalVideo
from stpn_data.support import OnlinePolicy, WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_vod.explain.prompt_attention import mass_of, support_look
from stpn_vod.explain.view import Arm, View, look
from stpn_vod.model_file import TrainedDetector
from stpn_vod.video_inference import SupportCache


@pytest.fixture(scope="module")
def clip(shapes: Path) -> EvalVideo:
    return EvalVideo(open_source(str(shapes), "val"), 0, EvalResize(64, 64))


@pytest.fixture(scope="module")
def view(detector: TrainedDetector, clip: EvalVideo) -> View:
    return look(Arm("STPN", detector), SupportCache(detector.model, clip), WindowPolicy(2, 2), 3)


def test_the_look_shows_prompts_by_frames_and_its_numbers(view: View, clip: EvalVideo) -> None:
    found = support_look(view, clip)
    assert found is not None
    assert view.tokens is not None
    weights = support_weights(view.arm.detector.model.stpn.predictor, view.tokens)
    assert weights is not None
    prompts, tokens = weights.shape[1], weights[0, 0].numel()
    height = looks.SUPPORT_HEIGHT + 3
    assert found.picture.shape == (3, height * (1 + prompts), height * 4)
    assert found.tokens == tokens
    flat = weights[0].flatten(1)
    entropy = torch.special.entr(flat).sum(1)
    assert found.spread == pytest.approx(float(entropy.exp().mean()), rel=1e-4)
    assert 1 <= found.spread < tokens
    assert found.alike == pytest.approx(float(flat.amin(0).sum()), abs=1e-5)  # of two prompts
    assert found.on_objects is not None
    inside, area = found.on_objects
    assert 0 < area < 1
    assert 0 <= inside <= 1


def test_even_attention_lies_on_objects_as_their_area(
    view: View, clip: EvalVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = torch.full((1, 2, 4, 4, 4), 1 / 64)
    monkeypatch.setattr(looks, "support_weights", lambda *_: even)
    found = support_look(view, clip)
    assert found is not None
    assert found.on_objects is not None
    assert found.on_objects[0] == pytest.approx(found.on_objects[1], rel=1e-4)
    assert found.spread == pytest.approx(64, rel=1e-4)
    assert found.alike == pytest.approx(1)


def test_without_support_or_without_weights_there_is_no_look(
    detector: TrainedDetector, view: View, clip: EvalVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(Arm("STPN", detector), SupportCache(detector.model, clip), OnlinePolicy(2, 2), 0)
    assert first.prompts is None
    assert support_look(first, clip) is None
    assert mass_of(first) == []
    monkeypatch.setattr(looks, "support_weights", lambda *_: None)
    assert support_look(view, clip) is None


def test_mass_has_a_picture_of_every_block(view: View) -> None:
    found = mass_of(view)
    assert isinstance(found, list)
    assert [one.block for one in found] == [f"stage {i}, block 1" for i in (1, 2, 3)]
    side = mass_pictures.BLOCK_HEIGHT + 3
    assert mass_pictures.mass_picture(view.frame.image, found).shape == (3, side, 3 * side)
    two = dataclasses.replace(view, image=view.image.expand(2, -1, -1, -1))
    assert "one image at a time" in str(mass_of(two))


def test_heat_covers_hot_cells_alone() -> None:
    image = torch.full((3, 30, 40), 90, dtype=torch.uint8)
    heat = torch.zeros(4, 5)
    heat[0, 0] = 1
    hot = heat_over(image, heat, (32, 40))
    assert hot.shape == image.shape
    assert torch.equal(hot[:, 16:, 16:], image[:, 16:, 16:])
    assert int((hot[:, 3, 3].int() - 90).abs().max()) > 60
    assert rows_of([[image, image], [image]], 3).shape == (3, 66, 86)
