"""`stpn data synthesize --layout got10k`: one target to follow among look-alikes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from stpn_data import open_dataset
from stpn_data.check import check_dataset
from stpn_data.errors import DataError
from stpn_data.index import ABSENT
from stpn_data.synthesize import Arguments, read_record, severity_of, synthesize
from stpn_data.synthesize.arguments import parse
from stpn_data.synthesize.got10k_files import TargetRows
from stpn_data.synthesize.path import meetings
from stpn_data.synthesize.render import Frame, render
from stpn_data.synthesize.scene import Scene
from stpn_data.synthesize.schedule import Spoil
from stpn_data.synthesize.targets import draw_targets

SMALL = Arguments(
    layout="got10k",
    videos=3,
    val_videos=2,
    frames=8,
    size=(96, 64),
    num_classes=3,
    objects=(2, 3),
    kinds=("blur", "defocus", "occlusion", "noise", "low_light"),
    speeds=("medium", "fast"),
)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("made") / "targets", SMALL)


def with_(**changes: object) -> Arguments:
    return Arguments(**{**vars(SMALL), **changes})  # type: ignore[arg-type]


def digest(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def labels_of(scene: Scene, arguments: Arguments) -> tuple[str, ...]:
    classes = arguments.classes
    return tuple(classes[(scene.order[0] + offset) % len(classes)] for offset in scene.offsets)


def test_the_tree_is_that_of_the_real_set(made: Path) -> None:
    folder = made / "val/GOT-10k_Val_000002"
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"{t:08d}.jpg" for t in range(1, 9)),
        *("absence.label", "cover.label", "cut_by_image.label"),
        *("groundtruth.txt", "meta_info.ini"),
    ]
    assert (made / "train/list.txt").read_text().split() == [
        f"GOT-10k_Train_{n:06d}" for n in (1, 2, 3)
    ]
    assert [len(audit.defects) for audit in check_dataset(made, progress=False)] == [0, 0]
    meta = (folder / "meta_info.ini").read_text().splitlines()
    assert meta[0] == "[METAINFO]"
    assert meta[-1] == "resolution: (96, 64)"


def test_the_reader_of_real_data_reads_it(made: Path) -> None:
    for split, videos in (("train", 3), ("val", 2)):
        index = open_dataset(made, split, cache=False)
        assert (index.num_videos, index.num_frames) == (videos, 8 * videos)
        assert index.classes == SMALL.classes
        assert index.annotated.all()
        assert index.present.all()
        starts = index.video_start[:-1]
        assert not (index.flags[starts] & ABSENT).any()
        assert set(starts) <= set(index.keys)


def test_the_record_names_the_frames_of_the_index(made: Path) -> None:
    recorded = severity_of(made)
    videos = read_record(made)
    assert len(recorded) == 5 * 8
    for split in ("train", "val"):
        index = open_dataset(made, split, cache=False)
        names = [f"{split}/{index.frame_name(frame)}" for frame in range(index.num_frames)]
        assert [name for name in recorded if name.startswith(f"{split}/")] == names
        for video, name in enumerate(index.video_names):
            (entry,) = [v for v in videos if v.name == f"{split}/{name}"]
            assert entry.classes == [index.classes[index.labels[index.video_start[video]]]]
            assert recorded[f"{split}/{name}/00000001"] == ("clean", 0.0)
            assert len(entry.motion_iou) == 1
    assert len({kind for kind, _ in recorded.values()}) > 2


def test_equal_bits_for_any_number_of_workers(made: Path, tmp_path: Path) -> None:
    assert digest(synthesize(tmp_path / "two", SMALL, workers=2)) == digest(made)
    fewer = digest(synthesize(tmp_path / "fewer", with_(videos=1, val_videos=0)))
    images = {name: value for name, value in fewer.items() if name.endswith(".jpg")}
    assert len(images) == 8
    assert images.items() <= digest(made).items()


def test_only_texture_tells_a_look_alike_from_the_target() -> None:
    alike, unlike = with_(objects=(4, 4), look_alikes=1.0), with_(objects=(4, 4), look_alikes=0.0)
    for number in range(6):
        scene = draw_targets(alike, 0, number)
        target, *others = scene.objects
        assert {mover.body for mover in others} == {target.body}
        assert 0 not in scene.offsets[1:]  # another class: another texture
        bodies = {mover.body for mover in draw_targets(unlike, 0, number).objects}
        assert len(bodies) == 4


def test_others_cross_the_target_but_not_at_the_start() -> None:
    arguments = with_(objects=(2, 2), frames=24, speeds=("fast",))
    shares = [
        meetings(scene.objects[0].poses, scene.objects[1].poses)
        for scene in (draw_targets(arguments, 0, number) for number in range(12))
    ]
    assert np.mean([share.max() for share in shares]) > 0.3
    assert np.mean([share[0] > 0 for share in shares]) < 0.2


def test_some_targets_leave_and_come_back() -> None:
    arguments = with_(frames=24, size=(64, 64), objects=(1, 1), fraction_degraded=0.0)
    gone = []
    for number in range(12):
        scene = draw_targets(arguments, 0, number)
        rows = TargetRows()
        poses = scene.objects[0].poses
        outside = [not (0 < pose.x < 64 and 0 < pose.y < 64) for pose in poses]
        assert not outside[0]
        assert not outside[-1]
        if not any(outside) or gone.count(True) > 1:
            gone.append(any(outside))
            continue
        gone.append(True)
        for pose, frame in zip(
            poses, render(scene, labels_of(scene, arguments), 64, 64), strict=True
        ):
            rows.add(frame, pose.radius)
        assert 1 in rows.absence
        assert 1 in rows.cut
        for box, cover, absence, cut in zip(
            rows.boxes, rows.cover, rows.absence, rows.cut, strict=True
        ):
            assert (box == (0, 0, 0, 0)) == (cover == 0) == (absence == 1)
            touches = absence == 0 and (
                min(box[:2]) == 0 or max(box[0] + box[2], box[1] + box[3]) == 64
            )
            assert touches == (cut == 1)
        assert (rows.cover[0], rows.cut[0], rows.absence[0]) == (8, 0, 0)
        assert min(cover for cover in rows.cover if cover) < 5  # half over the border
    assert 0 < np.mean(gone) < 0.7
    assert not any(
        not (0 < pose.x < 96 and 0 < pose.y < 64)
        for number in range(12)
        for pose in draw_targets(SMALL, 0, number).objects[0].poses  # too short to leave
    )


def test_labels_follow_from_what_is_drawn() -> None:
    outline = np.zeros((10, 12), bool)
    outline[2:8, 1:9] = True
    nothing = np.zeros((3, 10, 12), np.uint8)
    rows = TargetRows()
    for hidden in (0, 1, 3, 5, 6):
        visible = outline.copy()
        visible[2 : 2 + hidden] = False
        box, buried = np.array([[1, 2, 8, 7]]), np.array([hidden > 1])
        frame = Frame(nothing, box, buried, Spoil("clean", 0.0, 0), outline[None], visible[None])
        rows.add(frame, 3.0)
    assert rows.cover == [8, 7, 4, 1, 0]
    assert rows.absence == [0, 0, 0, 0, 1]
    assert rows.cut == [0] * 5
    assert rows.boxes == [(1, 2, 8, 6)] * 5  # hidden, not out of the frame: the place is known


def test_usual_settings_of_the_command() -> None:
    asked = parse(["X", "--layout", "got10k"]).arguments
    assert asked.objects == (2, 4)
    assert asked.kinds == ("blur", "defocus", "occlusion", "noise", "low_light")
    assert asked.speeds == ("medium", "fast")
    usual = parse(["X"]).arguments
    assert (usual.kinds, len(usual.speeds)) == (("blur", "defocus", "occlusion"), 3)
    for extra, reason in (
        (["--objects", "7"], "--objects: expected 1 to 6"),
        (["--mixed"], "--mixed"),
        (["--kinds", ","], "--kinds: expected"),
    ):
        with pytest.raises(DataError, match=reason):
            parse(["X", "--layout", "got10k", *extra])
