"""Real footage: recipes train on it, and a tiny tracker learns it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stpn_core.cli import main
from stpn_core.command import replace_in
from stpn_core.testing.runs import lines
from stpn_vot.config import Recipe
from stpn_vot.metrics.got10k import got10k
from stpn_vot.metrics.ground_truth import read_ground_truth
from stpn_vot.recipes import get_recipe
from stpn_vot.still_box import still_boxes
from stpn_vot.train import train

from .networks import TINY


@pytest.fixture
def root(shared: Path) -> Path:
    return shared / "data" / "got10k"


def shrunk(name: str, root: Path, **changes: object) -> Recipe:
    """A step of a recipe with a network of some thousand weights."""
    recipe = dataclasses.replace(get_recipe(name), **changes)
    sizes = ("encoder", "arch", "template_size", "search_size", "head_channels", "score_heads")
    recipe = replace_in(recipe, "model", **{size: getattr(TINY, size) for size in sizes})
    recipe = replace_in(recipe, "data", root=str(root), val_split="", workers=0)
    recipe = replace_in(recipe, "optim", steps=1, batch_size=2)
    return replace_in(recipe, "run", device="cpu")


def test_the_stages_of_a_recipe_follow_each_other(root, tmp_path):
    boxes, scores = tmp_path / "boxes", tmp_path / "scores"
    assert train(shrunk("got10k_cvt21_1k", root, init=""), boxes) == 0
    assert [step for step, _ in lines(boxes, "loss_presence")] == [1]
    assert train(shrunk("got10k_cvt21_1k_scores", root, init=str(boxes)), scores) == 0
    assert [step for step, _ in lines(scores, "loss_score")] == [1]
    assert lines(scores, "loss_l1") == []
    prompts = tmp_path / "prompts"
    recipe = shrunk("finetune_predictor", root, init=str(scores), protocol="got10k")
    assert train(recipe, prompts) == 0
    assert [step for step, _ in lines(prompts, "loss_l1")] == [1]


@pytest.mark.slow
def test_a_tiny_tracker_follows_the_sequences_it_was_trained_on(root, tmp_path):
    """Seven sequences, two of them of one video: the targets differ, the pixels do not."""
    command = ["vot", "train", "tiny", "--out", str(tmp_path / "run"), "--data.root", str(root)]
    assert main(command) == 0
    ((_, ao),) = lines(tmp_path / "run", "val/AO")
    still = got10k(still_boxes(read_ground_truth(root, "train")))
    assert still.ao < 0.4  # so they do move
    assert ao > 0.7
