"""When online templates change: the original's tables."""

from __future__ import annotations

import json

import pytest
import torch

from stpn_core.errors import InputError
from stpn_vot.template_schedule import UpdateRule, after_frame, first_templates


def test_every_update_is_the_original_s(shared):
    table = json.loads((shared / "golden/vot/template_schedule.json").read_text())
    assert len(table["runs"]) == 28
    for run in table["runs"]:
        rule = UpdateRule(run["interval"], run["online_size"], run["score_decay"])
        state = first_templates(0)
        for logit, row in zip(run["logits"], run["rows"], strict=True):
            frame, score, used, candidate, best, _, after, oldest = row
            assert float(torch.tensor(logit).sigmoid()) == pytest.approx(score, abs=1e-6)
            assert list(state.online) == used
            state = after_frame(state, rule, frame, score, lambda frame=frame: frame)
            assert state.candidate == candidate
            assert state.best == pytest.approx(best, abs=1e-9)
            assert list(state.online) == after
            assert state.oldest == oldest


def test_a_template_is_cut_for_a_candidate_only():
    cuts = []
    state = first_templates("first")
    for frame, score in enumerate([0.4, 0.9, 0.8, 0.95], start=1):
        state = after_frame(state, UpdateRule(10), frame, score, lambda f=frame: cuts.append(f))
    assert cuts == [2, 4]


def test_templates_are_the_same_object_until_they_change():
    rule, state = UpdateRule(3, 2), first_templates("first")
    for frame in (1, 2):
        following = after_frame(state, rule, frame, 0.9, lambda: "new")
        assert following.online is state.online
        state = following
    assert after_frame(state, rule, 3, 0.1, lambda: "new").online == ("first", "new")


def test_impossible_rules_are_refused():
    for change in ({"interval": 0}, {"slots": 0}):
        with pytest.raises(InputError, match="at least 1"):
            UpdateRule(**change)
