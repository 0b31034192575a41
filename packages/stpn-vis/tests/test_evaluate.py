from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.training import EvaluationStopped, World
from stpn_data.readers import open_dataset
from stpn_vis.evaluate import evaluate, segment_all
from stpn_vis.ground_truth import ground_truth
from stpn_vis.rle import as_json
from stpn_vis.severity import ap_by_severity
from stpn_vis.video_ap import Track, read_truth, video_ap

from .conftest import tiny_recipe

ALONE = World(0, 1, 0, torch.device("cpu"))


def plain(tracks: list[Track]) -> list[tuple]:
    return [(t.video, t.category, t.score, [as_json(m) for m in t.masks]) for t in tracks]


@pytest.fixture(scope="module")
def found(segmenter, painted):
    index = open_dataset(painted, "train")
    return segment_all(segmenter.model, index, tiny_recipe(painted).eval, ALONE)


def test_every_video_has_its_best_objects(found, painted):
    index = open_dataset(painted, "train")
    assert [t.video for t in found] == [v for v in (1, 2, 3, 4) for _ in range(10)]
    assert {t.category for t in found} == {1, 2}
    for track in found:
        frames = index.frames_of(track.video - 1)
        assert len(track.masks) == len(frames)
        assert all(tuple(m["size"]) == (48, 64) for m in track.masks if m)
    for video in (1, 2, 3, 4):
        scores = [t.score for t in found if t.video == video]
        assert scores == sorted(scores, reverse=True)


def test_the_truth_of_an_index_is_that_of_its_file(painted):
    index, file = open_dataset(painted, "train"), read_truth(painted / "train.json")
    ours = ground_truth(index)
    assert (ours.videos, ours.categories) == (file.videos, file.categories)
    assert plain(list(ours.tracks)) == plain(list(file.tracks))
    assert [t.area for t in ours.tracks] == [t.area for t in file.tracks]


def test_the_annotation_scores_one(painted):
    truth = ground_truth(open_dataset(painted, "train"))
    numbers = video_ap(truth, truth.tracks).numbers
    assert (numbers["AP"], numbers["AP75"], numbers["AR10"]) == (1, 1, 1)


def test_a_batch_of_frames_gives_what_one_frame_gives(segmenter, painted, found):
    index, config = open_dataset(painted, "train"), tiny_recipe(painted).eval
    one = segment_all(segmenter.model, index, dataclasses.replace(config, batch_size=1), ALONE)
    assert [(t.video, t.category) for t in one] == [(t.video, t.category) for t in found]
    assert max(abs(a.score - b.score) for a, b in zip(one, found, strict=True)) < 1e-5


def test_stopping_leaves_no_numbers(segmenter, painted):
    index, config = open_dataset(painted, "valid"), tiny_recipe(painted).eval
    segmenter.model.train()
    with pytest.raises(EvaluationStopped):
        evaluate(segmenter.model, index, config, ALONE, stop=lambda: True)
    assert segmenter.model.training  # put back as it was
    segmenter.model.eval()


def test_nothing_annotated_is_no_number(segmenter, painted, tmp_path):
    content = json.loads((painted / "valid.json").read_text())
    del content["annotations"]
    (tmp_path / "valid.json").write_text(json.dumps(content))
    (tmp_path / "valid").symlink_to(painted / "valid")
    index = open_dataset(tmp_path, "valid")
    with pytest.raises(InputError, match="nothing to compare"):
        evaluate(segmenter.model, index, tiny_recipe(painted).eval, ALONE)


def test_ap_of_the_frames_of_each_severity(painted):
    """Finds everything on clean frames and nothing on severe ones."""
    index = open_dataset(painted, "train")
    truth = ground_truth(index)
    severity = {v: [0.0, 0.9] * 3 for v in truth.videos}
    half = [
        dataclasses.replace(t, masks=[m if i % 2 == 0 else None for i, m in enumerate(t.masks)])
        for t in truth.tracks
    ]
    scores = ap_by_severity(truth, half, severity)
    assert list(scores) == ["clean", "severe"]
    assert scores["clean"]["AP"] == 1
    assert scores["severe"]["AP"] == 0
    assert scores["clean"]["frames"] == 12
    assert video_ap(truth, half).numbers["AP75"] < 1
