"""Instances of stored videos: the released numbers, and the same ones however memory is bounded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stpn_core.errors import NumericsError
from stpn_data.readers import read_frames_folder
from stpn_data.sequence import EvalVideo
from stpn_data.support import OnlinePolicy, UniformPolicy, WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_vis import inference as module
from stpn_vis import rle
from stpn_vis.full_size import full_size_logits
from stpn_vis.inference import VideoResult, predict_frames, segment_video
from stpn_vis.linking import best_slots, link
from stpn_vis.weights import load_segmenter

from .tiny import segmenter

RESIZE = EvalResize(48, 96)


def pictures(count: int, size: tuple[int, int] = (36, 52), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def stored(folder: Path, frames: np.ndarray, resize: EvalResize = RESIZE) -> EvalVideo:
    folder.mkdir(parents=True, exist_ok=True)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{t:05d}.png")
    return EvalVideo(read_frames_folder(folder), 0, resize)


def whole_video(predictions, top=10) -> VideoResult:
    """What must come out, said plainly: all masks of all frames at full size at once."""
    state, kept = None, []
    for frame, padded, found in predictions:
        order, state = link(state, found.logits[0], found.embeddings[0])
        size = tuple(frame.image.shape[1:])
        masks = found.masks[0][order]
        kept.append(full_size_logits(masks, padded, size, frame.original_size) > 0)
    slots, labels, scores = best_slots(state.mean_logits, top)
    masks = torch.stack(kept)[:, slots].to(torch.uint8).numpy()
    rles = tuple(tuple(rle.encode(m) for m in masks[:, k]) for k in range(len(slots)))
    return VideoResult(scores, labels, slots, rles)


def assert_same(one: VideoResult, other: VideoResult) -> None:
    assert torch.equal(one.scores, other.scores)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.slots, other.slots)
    assert one.rles == other.rles


def test_a_whole_video_gives_the_released_instances(shared, golden, tmp_path):
    tensors, facts = golden("vis/E_inference_1")
    model = load_segmenter(shared / "golden" / "vis" / "G_ckpt_d2.pth")
    frames = tensors["in.images"].permute(0, 2, 3, 1).contiguous().numpy()
    video = stored(tmp_path, frames, EvalResize(60, 1000))
    assert tuple(video.frame(0).image.shape[1:]) == tuple(facts["image_size"])

    found = [row for _, _, row in predict_frames(model, video, UniformPolicy())]
    for name, close in (("logits", 2e-4), ("masks", 1e-3), ("embeddings", 2e-4)):
        ours = torch.cat([getattr(row, name) for row in found])
        key = {"embeddings": "embds"}.get(name, name)
        torch.testing.assert_close(ours, tensors[f"out.pred_{key}"], atol=close, rtol=2e-4)

    result = segment_video(model, video, UniformPolicy())
    assert torch.equal(result.slots, tensors["out.query"].long())
    assert torch.equal(result.labels, tensors["out.labels"].long())
    torch.testing.assert_close(result.scores, tensors["out.scores"], atol=1e-5, rtol=0)

    expected = json.loads((shared / "golden" / "vis" / "E_inference_1_rle.json").read_text())
    sizes = [tuple(facts[f"{name}_size"]) for name in ("padded", "image", "output")]
    align, differing = tensors["out.align"].long(), 0
    for t, row in enumerate(found):
        logits = full_size_logits(row.masks[0][align[t]][result.slots], *sizes)
        for k, one in enumerate(logits):
            theirs = rle.decode(rle.as_rle(expected[k][t], 0, 0, "")).astype(bool)
            wrong = (one > 0).numpy() != theirs
            assert (one.abs().numpy()[wrong] < 1e-3).all()
            differing += int(wrong.sum())
    assert differing < 100


@pytest.mark.parametrize("policy", [UniformPolicy(3), WindowPolicy(1, 2), OnlinePolicy(2, 2)])
def test_bounded_memory_changes_nothing(tmp_path, monkeypatch, policy):
    model, video = segmenter(), stored(tmp_path, pictures(5))
    predictions = list(predict_frames(model, video, policy))
    expected = whole_video(predictions)
    # the same predictions each time: a second run may round the last bit of a product differently
    monkeypatch.setattr(module, "predict_frames", lambda *_: iter(predictions))
    assert len(expected.scores) == 10
    assert any(rle.area(one) for row in expected.rles for one in row)
    for memory in (0, 40_000, 1 << 30):
        assert_same(segment_video(model, video, policy, memory=memory), expected)


def test_batches_of_frames_change_next_to_nothing(tmp_path):
    model, video = segmenter(), stored(tmp_path, pictures(5))
    one = segment_video(model, video, WindowPolicy(1, 2))
    three = segment_video(model, video, WindowPolicy(1, 2), batch_size=3)
    torch.testing.assert_close(three.scores, one.scores, atol=1e-5, rtol=0)
    assert torch.equal(three.labels, one.labels)


def test_prompts_matter_and_their_absence_is_the_twin(tmp_path):
    model, video = segmenter(), stored(tmp_path, pictures(4))
    twin = segmenter(predictor=None)
    twin.load_state_dict(model.state_dict(), strict=False)
    prompted = segment_video(model, video, OnlinePolicy(2, 1))
    plain = segment_video(twin, video, OnlinePolicy(2, 1))
    assert not torch.equal(prompted.scores, plain.scores)
    model.stpn.predictor = None
    off = segment_video(model, video, OnlinePolicy(2, 1))
    torch.testing.assert_close(off.scores, plain.scores, atol=1e-6, rtol=0)


def test_a_video_of_one_frame_and_more_support_than_frames(tmp_path):
    result = segment_video(segmenter(), stored(tmp_path, pictures(1)), UniformPolicy(14), top=3)
    assert len(result.scores) == len(result.rles) == 3
    assert all(len(row) == 1 and row[0]["size"] == [36, 52] for row in result.rles)


def test_fewer_pairs_of_slot_and_class_than_asked_for(tmp_path):
    model = segmenter(num_queries=2, num_classes=1)
    assert len(segment_video(model, stored(tmp_path, pictures(2)), UniformPolicy(2)).scores) == 2


def test_rescoring_only_lowers_scores_and_sorts_again(tmp_path):
    model, video = segmenter(), stored(tmp_path, pictures(3))
    plain = segment_video(model, video, UniformPolicy(2), top=24)
    again = segment_video(model, video, UniformPolicy(2), top=24, rescore=True)
    assert torch.equal(again.scores, again.scores.sort(descending=True).values)
    before = {
        (s, c): v
        for s, c, v in zip(
            plain.slots.tolist(), plain.labels.tolist(), plain.scores.tolist(), strict=True
        )
    }
    rows = zip(again.slots.tolist(), again.labels.tolist(), again.scores.tolist(), strict=True)
    assert all(value <= before[slot, label] for slot, label, value in rows)


def test_a_prediction_that_is_not_finite_names_its_frame(tmp_path):
    model, video = segmenter(), stored(tmp_path, pictures(2))
    segment_video(model, video, UniformPolicy(2))
    with torch.no_grad():
        model.decoder.classifier.bias[0] = torch.nan
    with pytest.raises(NumericsError, match="00000"):
        segment_video(model, video, UniformPolicy(2))


def test_progress_is_told_frame_by_frame(tmp_path):
    ticks = []
    video = stored(tmp_path, pictures(3))
    segment_video(segmenter(), video, UniformPolicy(2), on_frame=lambda: ticks.append(1))
    assert len(ticks) == 3
