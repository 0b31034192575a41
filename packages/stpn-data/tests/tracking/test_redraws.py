"""Draws that give no clip: made again, named, counted, and not without end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stpn_data.errors import DataError
from stpn_data.tracking import (
    count_reasons,
    find_targets,
)
from stpn_data.tracking import dataset as dataset_module

from .small import ANY, dataset


def test_failed_draws_are_named_and_counted(painted):
    index = painted.index
    missing = index.frame_path(3)
    missing.unlink()
    (missing.parent / "000007.png").write_bytes(b"not a picture")
    clips = [dataset(painted, seed=seed)[0, 0] for seed in range(25)]
    told = [entry for clip in clips for entry in clip.skipped if "padding" not in entry]
    assert told
    assert {entry[:25] for entry in told} == {"unreadable: v0/000003: " + str(missing)[:2]} | {
        "unreadable: v0/000007: " + str(missing)[:2]
    }
    assert count_reasons(told) == {"unreadable": len(told)}
    assert any(clip.skipped and clip.valid.all() for clip in clips), "drawn again"
    halved = [clip for clip in clips if not clip.valid.all()]
    assert halved, "support that cannot be read is left out alone"
    for clip in halved:
        assert not clip.support[~clip.valid].any()
    failing = next(n for n, c in enumerate(clips) if "unreadable" in "".join(c.skipped))
    strict = dataset(painted, seed=failing, skip_unreadable=False)
    with pytest.raises(DataError, match=r"00000[37]\.png"):
        strict[0, 0]
    missing.write_bytes((missing.parent / "000002.png").read_bytes())
    (missing.parent / "000007.png").write_bytes(missing.read_bytes())
    again = [entry for seed in range(25) for entry in dataset(painted, seed=seed)[0, 0].skipped]
    assert not any("unreadable" in entry for entry in again)  # the control


def test_a_crop_of_nothing_but_padding_is_drawn_again(make_index):
    index = make_index((12,))
    boxes = index.boxes.copy()
    boxes[::2] += 4000  # far outside the image
    data = dataset(find_targets(replace(index, boxes=boxes), ANY))
    clips = [data[0, at] for at in range(20)]
    told = [entry for clip in clips for entry in clip.skipped]
    assert count_reasons(told) == {"all padding": len(told)}
    assert all(clip.search.any() and clip.template.any() for clip in clips)
    assert all(clip.support[clip.valid].flatten(1).any(1).all() for clip in clips)


def test_without_an_end_of_failures_training_is_refused(make_index, monkeypatch):
    index = make_index((12,))
    boxes = index.boxes + np.float32(4000)
    monkeypatch.setattr(dataset_module, "MAX_REDRAWS", 7)
    data = dataset(find_targets(replace(index, boxes=boxes), ANY))
    with pytest.raises(
        DataError, match=r"7 draws .* \(7 × all padding\), the last: all padding: v0/"
    ):
        data[0, 0]
    assert dataset(find_targets(index, ANY))[0, 0].skipped == ()  # the control
