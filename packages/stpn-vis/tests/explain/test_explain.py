"""The page of `stpn vis explain`, and the numbers on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stpn_core.cli import main
from stpn_core.errors import InputError, NumericsError
from stpn_core.explain import mass_pictures
from stpn_data.datasets import open_dataset
from stpn_data.sequence import EvalVideo
from stpn_data.support import WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_vis.explain.arguments import ExplainArguments
from stpn_vis.explain.command import choose_video, explain
from stpn_vis.explain.follow import FEW, SURE, Arm, Followed, follow
from stpn_vis.explain.frames_part import instances, slot_masks
from stpn_vis.explain.link_plots import hardest_link
from stpn_vis.explain.truth import annotated, annotated_area, overlap
from stpn_vis.inference import segment_video
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.weights import save_segmenter

from ..conftest import CLASSES
from ..tiny import CONFIG, segmenter

CONFIG_2 = dataclasses.replace(CONFIG, num_classes=2, decoder_layers=2, num_prompts=2)
RESIZE = EvalResize(48, 64)
POLICY = WindowPolicy(1, 1)
SIZES = ["--short-side", "48", "--long-side", "64", "--count", "2", "--stride", "1"]


def trained(source: str = "tiny", **changes: object) -> TrainedSegmenter:
    config = dataclasses.replace(CONFIG_2, **changes)  # type: ignore[arg-type]
    model = segmenter(num_classes=2, decoder_layers=2, num_prompts=2, **changes)
    with torch.no_grad():
        model.decoder.classifier.weight.mul_(6)
    return TrainedSegmenter(model, config, CLASSES, Path(source))


@pytest.fixture(scope="module")
def small() -> TrainedSegmenter:
    return trained()


@pytest.fixture
def video(painted: Path) -> EvalVideo:
    return EvalVideo(open_dataset(painted, "train"), 0, RESIZE)


@pytest.fixture
def followed(small: TrainedSegmenter, video: EvalVideo) -> Followed:
    return follow(Arm("STPN", small), video, POLICY, list(range(6)), [1, 4])


def test_what_is_followed_is_what_evaluation_finds(
    small: TrainedSegmenter, video: EvalVideo, followed: Followed
) -> None:
    expected = segment_video(small.model, video, POLICY, top=3)
    slot = followed.best(1)[0]
    assert slot == int(expected.slots[0])
    assert followed.label(slot) == int(expected.labels[0])
    assert float(followed.mean[-1, slot].max()) == pytest.approx(float(expected.scores[0]))
    assert followed.queries.shape == (6, 6)
    assert followed.queries[0].tolist() == list(range(6))
    mean = followed.scores[0]
    assert torch.allclose(followed.mean[0], mean)
    assert not torch.allclose(followed.mean[3], followed.scores[3])


def test_similarities_are_those_of_the_links(followed: Followed) -> None:
    assert followed.similarity[0].isnan().all()
    assert followed.rival[0].isnan().all()
    assert [link.place for link in followed.links] == [1, 2, 3, 4, 5]
    for t, link in enumerate(followed.links, start=1):
        every = link.similarity.numpy()
        order = followed.queries[t].numpy()
        own = every[np.arange(6), order]
        assert np.allclose(own, followed.similarity[t])
        others = [np.delete(row, q).max() for row, q in zip(every, order, strict=True)]
        assert np.allclose(others, followed.rival[t])
        assert every.max() <= 1 + 1e-5
    hardest = hardest_link(followed, followed.best(3))
    assert hardest is not None
    margin = (followed.similarity - followed.rival)[1:, followed.best(3)]
    frame = 1 + int(margin.amin(1).argmin())
    assert f"frame {frame}," in hardest.caption


def test_prompts_are_left_out_where_asked(small: TrainedSegmenter, video: EvalVideo) -> None:
    off = follow(Arm("off", small, prompted=False), video, POLICY, [0, 1, 2], [1])
    on = follow(Arm("on", small), video, POLICY, [0, 1, 2], [1])
    assert off.shown[1].look is None
    assert off.shown[1].mass == []
    assert on.shown[1].look is not None
    assert [one.block for one in on.shown[1].mass][:2] == ["stage 1, block 1", "stage 1, block 2"]
    assert not torch.equal(off.scores, on.scores)
    look = on.shown[1].look
    assert look.on_objects is not None  # the frames before and after show the disc and the square
    assert look.picture.shape[1] == (1 + 2) * 83


def test_objects_of_a_frame_have_its_scores_and_the_class_of_the_end(followed: Followed) -> None:
    found = instances(followed, followed.shown[4], 4)
    for i, slot in enumerate((found.ids - 1).tolist()):
        label = followed.label(slot)
        assert int(found.labels[i]) == label
        assert float(found.scores[i]) == pytest.approx(float(followed.scores[4, slot, label]))
        assert float(followed.mean[-1, slot].max()) >= SURE
        assert torch.equal(found.masks[i], slot_masks(followed.shown[4], [slot])[0])
        assert found.masks[i].any()
    doubtful = dataclasses.replace(followed, mean=followed.mean * 0.2)
    assert len(instances(doubtful, followed.shown[4], 4)) == 0
    assert doubtful.sure(4) == []
    assert doubtful.best(4) == followed.best(4)[:FEW]


def test_annotation_and_overlap(video: EvalVideo) -> None:
    frame = video.frame(1)
    truth = annotated(video.index, frame)
    assert len(truth) == 2
    assert truth.masks.shape[1:] == frame.original_size
    assert 150 < int(truth.masks[0].sum()) < 300  # a disc of radius 8
    area = annotated_area(video.index, frame)
    assert area.shape == frame.image.shape[1:]
    assert float(area.float().mean()) == pytest.approx(
        float(truth.masks.any(0).float().mean()), abs=0.03
    )
    assert not annotated_area(video.index, video.frame(3)).any()
    assert overlap(truth.masks, truth.masks) == [1.0, 1.0]
    assert overlap(truth.masks, truth.masks[:0]) == [0.0, 0.0]
    half = truth.masks[:1].clone()
    half[:, :, ::2] = False
    assert 0.4 < overlap(truth.masks[:1], half)[0] < 0.6
    assert overlap(torch.zeros_like(truth.masks), truth.masks) == []


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, small: TrainedSegmenter) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_segmenter(path, small.model.state_dict(), small.config, CLASSES)
    return path


def test_the_command_writes_a_page_and_the_same_one_again(
    painted: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = open_dataset(painted, "train").video_names[0]
    flags = ["--split", "train", "--video", name, "--frames", "2", *SIZES]
    command = ["vis", "explain", str(painted), "--weights", str(weights), *flags]
    for out in ("a", "b"):
        assert main([*command, "--out", str(tmp_path / out)]) == 0
    first, second = ((tmp_path / out / "explain.html").read_text() for out in "ab")
    assert first == second
    for words in (
        "<h4>annotated</h4>", "<h4>STPN, prompts off</h4>", "<h4>STPN</h4>", "IoU of annotated",
        "Which query became which object", "Changes of the query over", "The hardest link",
        "A prompt attends to", "looked at all that they see alike", "attention on prompts by block",
    ):  # fmt: skip
        assert words in first, words
    assert str(tmp_path / "a") not in first


def test_a_twin_and_a_bare_folder_of_one_frame(
    weights: Path, small: TrainedSegmenter, tmp_path: Path
) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "0.png")
    twin = trained(predictor=None)
    plain = tmp_path / "twin.safetensors"
    save_segmenter(plain, twin.model.state_dict(), twin.config, CLASSES)
    out = tmp_path / "out"
    flags = ["--twin", str(plain), "--out", str(out), *SIZES]
    assert main(["vis", "explain", str(folder), "--weights", str(weights), *flags]) == 0
    text = (out / "explain.html").read_text()
    assert "<h4>prompt-free twin</h4>" in text
    assert "<h4>annotated</h4>" not in text
    assert "A single frame: there is nothing to link" in text
    assert "The hardest link" not in text
    flags = ["--out", str(out), *SIZES]
    assert main(["vis", "explain", str(folder), "--weights", str(plain), *flags]) == 0
    text = (out / "explain.html").read_text()
    assert "This model has no prompts" in text
    assert "prompts off" not in text


def test_attention_that_cannot_be_read_leaves_a_sentence(
    painted: Path, small: TrainedSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("not this encoder")

    monkeypatch.setattr(mass_pictures, "prompt_mass", refuse)
    arguments = ExplainArguments(
        str(painted), Path("w"), Path("o"), frames=1, count=2, stride=1, short_side=48,
        long_side=64, max_frames=2,
    )  # fmt: skip
    index = open_dataset(painted, "train")
    arguments = dataclasses.replace(arguments, video=index.video_names[0])
    page = explain([Arm("STPN", small)], index, arguments)
    assert page.mass_plot is None
    assert "not shown: not this encoder" in page.mass_note


def test_weights_that_overflow_are_not_explained(video: EvalVideo) -> None:
    broken = trained()
    with torch.no_grad():
        broken.model.decoder.classifier.bias.fill_(float("nan"))
    with pytest.raises(NumericsError, match="nothing to explain"):
        follow(Arm("STPN", broken), video, POLICY, [0], [])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--video", "nobody"], "--video nobody: no such video"),
        (["--pick", "99"], "--pick 99: frames 0 to"),
        (["--frames", "0"], "frames"),
        (["--max-frames", "-1"], "max_frames"),
    ],
)
def test_what_cannot_be_shown_is_said(
    painted: Path, weights: Path, tmp_path: Path, flags: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command = ["vis", "explain", str(painted), "--weights", str(weights), "--out", str(tmp_path)]
    assert main([*command, *SIZES, *flags]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_video_is_drawn_by_chance_or_by_name(painted: Path) -> None:
    index = open_dataset(painted, "train")
    drawn = {choose_video(index, "", seed) for seed in range(12)}
    assert len(drawn) > 1
    assert choose_video(index, "", 3) == choose_video(index, "", 3)
    assert [choose_video(index, name, 0) for name in index.video_names] == [0, 1, 2, 3]
