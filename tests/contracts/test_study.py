"""The study runs, goes on where it was, and writes a page from what it finds."""

from __future__ import annotations

import json
import math

import pytest
import torch
from study.__main__ import main
from study.arms import ARMS, MAIN, SUPPORT_TESTS, TIERS, TWIN, queue
from study.attention import PromptMass
from study.intervals import interval
from study.page import BEGIN, END
from study.results import read_results
from study.setting import FULL, Replicate
from torch.nn.functional import scaled_dot_product_attention


def test_quick_study_writes_a_page_and_does_nothing_twice(tmp_path, capsys):
    out, work = tmp_path / "page", tmp_path / "work"
    command = ["--quick", "--out", str(out), "--work", str(work), "--seeds", "0"]
    command += ["--arms", TWIN, MAIN, SUPPORT_TESTS]
    out.mkdir()
    (out / "README.md").write_text(f"# By hand\n\n{BEGIN}\nof last week\n{END}\n\nAfter.\n")
    assert main(command) == 0
    page = (out / "README.md").read_text()
    assert page.startswith("# By hand\n")
    assert page.endswith("\n\nAfter.\n")
    assert "of last week" not in page
    assert "STPN, attention predictor, deep" in page
    assert {path.name for path in out.glob("*.png")} == {
        "severity.png", "gains.png", "speed.png", "curves.png", "ablations.png"
    }  # fmt: skip
    results = read_results(out / "results")
    assert results.arms == [TWIN, MAIN]
    assert {"own", "other class", "same class", "none", "S=1", "K=1"} <= set(results.tests(MAIN))
    assert results.gain(MAIN, "severity", "all", base=MAIN).mean == 0

    capsys.readouterr()
    result = out / "results" / f"{MAIN}-seed0.json"
    record = json.loads(result.read_text()) | {"mark": "kept"}
    result.write_text(json.dumps(record))
    assert main(command) == 0  # all is there: nothing runs again
    assert json.loads(result.read_text())["mark"] == "kept"
    assert "[" not in capsys.readouterr().out


def test_every_arm_has_a_place_in_the_queue_and_a_recipe(tmp_path):
    listed = [name for tier in TIERS for name in tier]
    assert sorted(listed) == sorted([*ARMS, SUPPORT_TESTS])
    base = Replicate(FULL, 0, tmp_path).base()
    recipes = {name: arm.recipe(base) for name, arm in ARMS.items()}
    assert len({str((r.model, r.data)) for r in recipes.values()}) == len(ARMS)  # no two alike
    shared = {str((r.optim, r.eval, r.init, r.run)) for r in recipes.values()}
    assert len(shared) == 1


def test_seeds_of_a_tier_come_before_the_next_tier():
    order = queue([0, 1])
    last_of_first = max(i for i, (arm, _) in enumerate(order) if arm in TIERS[0])
    first_of_second = min(i for i, (arm, _) in enumerate(order) if arm in TIERS[1])
    assert last_of_first < first_of_second
    assert order[0] == (TWIN, 0)


def test_interval_is_students():
    found = interval([1.0, 2.0, 3.0])  # t(2) = 4.303, deviation 1
    assert found.mean == 2
    assert found.half == pytest.approx(4.303 / math.sqrt(3))
    assert not found.excludes_zero
    assert interval([1.9, 2.0, 2.1]).excludes_zero
    assert not interval([5.0]).excludes_zero


def test_prompt_mass_is_their_share_of_the_softmax():
    q, v = torch.zeros(1, 1, 4, 8), torch.randn(1, 1, 10, 8)
    with PromptMass(prompts=2) as alike:
        scaled_dot_product_attention(q, torch.zeros(1, 1, 10, 8), v)
    assert alike.blocks == pytest.approx([0.2])
    bias = torch.zeros(1, 1, 4, 10)
    bias[..., :2] = -1e9
    with PromptMass(prompts=2) as hidden:
        scaled_dot_product_attention(q, torch.zeros(1, 1, 10, 8), v, bias)
    assert hidden.blocks == pytest.approx([0.0])
