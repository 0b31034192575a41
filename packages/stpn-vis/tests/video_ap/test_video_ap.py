"""Video AP against tables that the official evaluator computed."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_vis.rle import area, as_rle, decode, encode
from stpn_vis.video_ap import Truth, read_results, read_truth, video_ap
from stpn_vis.video_ap.overlap import track_iou
from stpn_vis.video_ap.tracks import occlusion_level

CASES = [f"F_ap_{n:02d}" for n in range(13)]
LONG = 1e-12


@pytest.fixture(params=CASES)
def case(request, shared: Path):
    folder, name = shared / "golden" / "vis", request.param
    truth = read_truth(folder / f"{name}_gt.json")
    found = read_results(folder / f"{name}_results.json", truth)
    return truth, found, np.load(folder / f"{name}_expected.npz")


def test_every_entry_is_the_official_one(case):
    truth, found, expected = case
    answer = video_ap(truth, found)
    assert list(answer.categories) == expected["cat_ids"].tolist()
    np.testing.assert_allclose(list(answer.numbers.values()), expected["stats"], 0, LONG)
    np.testing.assert_allclose(answer.precision, expected["precision"], 0, LONG)
    np.testing.assert_allclose(answer.recall, expected["recall"], 0, LONG)
    np.testing.assert_allclose(answer.scores, expected["scores"], 0, LONG)


def test_overlaps_are_the_official_ones(case):
    truth, found, expected = case
    compared = 0
    for key in expected.files:
        if not key.startswith("iou."):
            continue
        video, category = (int(part) for part in key.split(".")[1:])
        ours = [t for t in found if (t.video, t.category) == (video, category)]
        ours.sort(key=lambda track: -track.score)
        theirs = [t for t in truth.tracks if (t.video, t.category) == (video, category)]
        iou = track_iou(ours[:100], theirs)
        np.testing.assert_allclose(iou, expected[key].reshape(iou.shape), 0, LONG)
        compared += iou.size
    assert compared or not found


@pytest.fixture
def content(shared: Path):
    text = (shared / "golden" / "vis" / "F_ap_00_gt.json").read_text()
    return json.loads(text)


def perfect(content) -> list[dict]:
    """Results that repeat the annotations."""
    names = ("video_id", "category_id", "segmentations")
    sizes = {v["id"]: (v["height"], v["width"]) for v in content["videos"]}
    rows = []
    for row in content["annotations"]:
        rles = [as_rle(one, *sizes[row["video_id"]], "") for one in row["segmentations"]]
        rows.append({name: row[name] for name in names} | {"score": 0.9, "segmentations": rles})
    return rows


def test_the_annotations_themselves_score_one(content):
    truth = read_truth(content)
    numbers = video_ap(truth, read_results(perfect(content))).numbers
    assert numbers["AP"] == pytest.approx(1.0)
    assert video_ap(truth, read_results(perfect(content)[1:])).numbers["AP"] < 1


def test_an_id_of_zero_counts_like_any_other(content):
    before = video_ap(read_truth(content), read_results(perfect(content))).numbers
    content["annotations"][0]["id"] = 0
    assert video_ap(read_truth(content), read_results(perfect(content))).numbers == before


def test_occlusion_adds_six_numbers(content):
    for n, row in enumerate(content["annotations"]):
        word = ("no_occlusion", "severe_occlusion")[n % 2]
        row["occlusion"] = [None if s is None else word for s in row["segmentations"]]
    answers = perfect(content)
    numbers = video_ap(read_truth(content), read_results(answers)).numbers
    assert len(numbers) == 18
    assert numbers["APso"] == pytest.approx(1)
    assert numbers["APmo"] == -1
    half = video_ap(read_truth(content), read_results(answers[::2])).numbers
    assert half["APho"] == 0
    assert half["APso"] == pytest.approx(1)


def test_masks_of_another_size_share_nothing(content):
    answers = perfect(content)
    truth = read_truth(content)
    for row in answers:
        row["segmentations"] = [
            None if m is None else encode(np.ones((m["size"][0] + 1, m["size"][1]), np.uint8))
            for m in row["segmentations"]
        ]
    assert video_ap(truth, read_results(answers)).numbers["AP"] == 0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"annotations": None}, "no annotations"),
        ({"videos": None}, "no list of videos"),
        ({"videos": []}, "its video 1 is not in the file|its video . is not in the file"),
    ],
)
def test_annotations_that_cannot_be_used_are_refused(content, fault, message):
    read_truth(content)
    with pytest.raises(InputError, match=message):
        read_truth(content | fault)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"video_id": 999}, "video 999 is not in the annotations"),
        ({"score": float("nan")}, "score is nan"),
        ({"segmentations": 3}, "segmentations"),
        ({"segmentations": [{"size": [3, 3]}]}, "a segmentation is null"),
        ({"score": None}, "needs video_id"),
    ],
)
def test_results_that_cannot_be_used_are_refused(content, fault, message):
    truth, answers = read_truth(content), perfect(content)
    read_results(answers, truth)
    broken = copy.deepcopy(answers)
    broken[0] |= fault
    with pytest.raises(InputError, match=message):
        read_results(broken, truth)


def test_an_unreadable_file_is_named(tmp_path):
    (tmp_path / "results.json").write_text("[{")
    for name in ("results.json", "absent.json"):
        with pytest.raises(InputError, match=name):
            read_results(tmp_path / name)


def test_every_form_of_a_mask_is_read():
    square = np.zeros((6, 8), np.uint8)
    square[2:4, 3:6] = 1
    rle = encode(square)
    counts = [20, 2, 4, 2, 4, 2, 14]
    polygon = [[3, 2, 6, 2, 6, 4, 3, 4], [1, 1, 2, 2]]
    forms = [rle, {"size": [6, 8], "counts": counts}, polygon]
    forms.append({"size": [6, 8], "counts": rle["counts"].decode()})
    for form in forms:
        assert np.array_equal(decode(as_rle(form, 6, 8, "here")), square)
    assert area(as_rle([[1, 1, 2, 2]], 6, 8, "here")) == 0
    assert as_rle(None, 6, 8, "here") is None


def test_occlusion_is_the_mean_of_the_upper_half():
    words = ["no_occlusion", None, "slight_occlusion", "severe_occlusion"]
    assert occlusion_level(words) == 0.5
    assert occlusion_level(["no_occlusion"] * 3 + ["severe_occlusion"]) == 0.375
    assert occlusion_level([None]) == 0


def test_nothing_found_and_nothing_annotated():
    nothing = video_ap(Truth((), (1,), (1, 2)), []).numbers
    assert set(nothing.values()) == {-1.0}
