from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from stpn_data import open_dataset
from stpn_data.check import check_dataset
from stpn_data.cli import main
from stpn_data.errors import DataError
from stpn_data.masks import OCCLUSIONS, instances_of
from stpn_data.synthesize import Arguments, read_record, severity_of, synthesize
from stpn_data.synthesize.arguments import parse
from stpn_data.synthesize.instances import draw_instances
from stpn_data.synthesize.path import meetings
from stpn_data.synthesize.render import Frame, render
from stpn_data.synthesize.scene import Scene
from stpn_data.synthesize.vis_files import ObjectLists

SMALL = Arguments(
    layout="youtube_vis",
    videos=4,
    val_videos=2,
    frames=8,
    size=(96, 64),
    num_classes=3,
    objects=(2, 4),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("made") / "shapes", SMALL)


def digest(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def frames(arguments: Arguments, number: int = 0) -> list[Frame]:
    scene = draw_instances(arguments, 0, number)
    labels = [arguments.classes[offset % len(arguments.classes)] for offset in scene.offsets]
    return list(render(scene, tuple(labels), arguments.size[1], arguments.size[0]))


def test_the_data_set_is_whole(made: Path) -> None:
    audits = check_dataset(made, progress=False)
    assert [audit.split for audit in audits] == ["train", "valid"]
    assert [audit.defects for audit in audits] == [(), ()]
    index = open_dataset(made, "train", cache=False)
    assert index.video_names == tuple(f"synthetic_train_{n:08d}" for n in range(4))
    assert index.classes == SMALL.classes == ("checks", "dots", "stripes")
    assert all(2 <= len(instances_of(index, video)) <= 4 for video in range(4))
    recorded = severity_of(made)
    names = [f"train/{index.frame_name(frame)}" for frame in range(index.num_frames)]
    assert set(names) <= recorded.keys()
    assert {kind for kind, _ in recorded.values()} > {"clean", "occlusion"}
    for video, record in enumerate(read_record(made)[:4]):
        labels = [index.classes[i.label] for i in instances_of(index, video)]
        assert record.classes == labels
        assert record.name == f"train/{index.video_names[video]}"


def test_equal_bits_for_any_number_of_workers(made: Path, tmp_path: Path) -> None:
    assert digest(synthesize(tmp_path / "two", SMALL, workers=2)) == digest(made)
    fewer = digest(synthesize(tmp_path / "fewer", Arguments(**{**vars(SMALL), "videos": 2})))
    images = {name: value for name, value in fewer.items() if name.endswith(".jpg")}
    assert len(images) == 32
    assert images.items() <= digest(made).items()
    other = digest(synthesize(tmp_path / "other", Arguments(**{**vars(SMALL), "seed": 1})))
    assert not set(other.values()) & set(digest(made).values())


def test_a_pixel_belongs_to_the_object_in_front() -> None:
    arguments = Arguments(**{**vars(SMALL), "fraction_degraded": 0.0, "speeds": ("fast",)})
    crossings = 0
    for number in range(3):
        alone = arguments.classes * 4
        for t, frame in enumerate(frames(arguments, number)):
            assert frame.visible.sum(axis=0).max() <= 1
            assert not (frame.visible & ~frame.outlines).any()
            for n in range(len(frame.outlines) - 1):
                both = frame.outlines[n] & frame.outlines[-1]
                assert not (frame.visible[n] & both).any()
                if both.sum() < 40:
                    continue
                crossings += 1
                # without the object in front these pixels change, without the one behind they stay
                scene = draw_instances(arguments, 0, number)
                labels = tuple(alone[offset] for offset in scene.offsets)
                shown = list(scene.shown)
                for gone, changes in ((n, False), (len(shown) - 1, True)):
                    there = [(0, 0) if i == gone else span for i, span in enumerate(shown)]
                    other = _frame(scene, tuple(there), labels, t, arguments.size)
                    inner = both & (frame.visible[-1])
                    gap = np.abs(frame.image.astype(int) - other.image.astype(int))[:, inner].mean()
                    assert (gap > 10) == changes, (number, t, n, gap)
                break
    assert crossings > 3


def _frame(
    scene: Scene,
    shown: tuple[tuple[int, int], ...],
    labels: tuple[str, ...],
    t: int,
    size: tuple[int, int],
) -> Frame:
    changed = replace(scene, shown=shown)
    return next(islice(render(changed, labels, size[1], size[0]), t, None))


def test_an_occluder_takes_its_part_of_the_mask() -> None:
    settings = {
        "kinds": ("occlusion",),
        "fraction_degraded": 1.0,
        "frames": 4,
        "objects": (1, 1),
        "size": (128, 128),
    }
    left = []
    for severity in (0.3, 0.6, 1.0):
        arguments = Arguments(**{**vars(SMALL), **settings, "severity": (severity, severity)})
        shares = [
            frame.visible.sum() / frame.outlines.sum()
            for number in range(4)
            for frame in frames(arguments, number)
        ]
        left.append(float(np.mean(shares)))
    assert left[0] > left[1] + 0.05 > left[2] + 0.1
    assert 0.1 < left[2] < 0.4  # the rim
    clear = Arguments(**{**vars(SMALL), **settings, "fraction_degraded": 0.0})
    assert all((frame.visible == frame.outlines).all() for frame in frames(clear))


def test_what_is_said_of_an_object() -> None:
    outline = np.zeros((10, 10), bool)
    outline[2:8, 1:9] = True
    lists = ObjectLists(["dots"])
    for hidden in (0, 2, 5, 6):
        visible = outline.copy()
        visible[2 : 2 + hidden] = False
        frame = Frame(*(np.zeros(0),) * 3, None, outline[None], visible[None])  # type: ignore[arg-type]
        lists.add(frame)
    (entry,) = lists.entries
    assert entry["category"] == "dots"
    assert entry["occlusion"] == [*OCCLUSIONS[1:], None]
    assert entry["bboxes"] == [[1, 2, 8, 6], [1, 4, 8, 4], [1, 7, 8, 1], None]
    assert entry["areas"] == [48, 32, 8, None]
    assert entry["segmentations"][3] is None


def test_look_alikes_look_alike_and_cross() -> None:
    base = {**vars(SMALL), "objects": (3, 3), "frames": 24, "speeds": ("fast",)}
    closest = []
    for number in range(4):
        twins = draw_instances(Arguments(**{**base, "look_alikes": 1.0}), 0, number)
        assert len({mover.body for mover in twins.objects}) == 1
        assert set(twins.offsets) == {0}
        strangers = draw_instances(Arguments(**{**base, "look_alikes": 0.0}), 0, number)
        assert len({mover.body for mover in strangers.objects}) == 3
        share = meetings(twins.objects[0].poses, twins.objects[1].poses)
        closest.append(float(share.max()))
        assert share.min() < 0.5
    assert np.mean(closest) > 0.3


def test_objects_come_and_go(tmp_path: Path) -> None:
    scenes = [draw_instances(SMALL, 0, number) for number in range(30)]
    assert all(scene.shown[0] == (0, 8) for scene in scenes)
    others = [span for scene in scenes for span in scene.shown[1:]]
    assert 0.05 < np.mean([start > 0 for start, _ in others]) < 0.4
    assert 0.05 < np.mean([stop < 8 for _, stop in others]) < 0.4
    number = next(n for n, scene in enumerate(scenes) if scene.shown[1][0] > 0)
    start = scenes[number].shown[1][0]
    seen = [frame.outlines[1].any() for frame in frames(SMALL, number)]
    assert not any(seen[:start])
    assert seen[start]


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "shapes"
    line = ["synthesize", str(out), "--layout", "youtube_vis", "--videos", "1", "--val-videos", "0"]
    assert main([*line, "--frames", "2", "--size", "64x64", "--workers", "1"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["synthetic.json", "train", "train.json"]
    content = json.loads((out / "train.json").read_text())
    assert {len(entry["segmentations"]) for entry in content["annotations"]} == {2}
    assert parse(["X", "--layout", "youtube_vis"]).arguments.objects == (2, 4)
    assert parse(["X"]).arguments.objects == (1, 1)
    for extra, reason in (
        (["--objects", "7"], "--objects: expected 1 to 6"),
        (["--look-alikes", "2"], "--look-alikes: expected 0 to 1"),
        (["--mixed"], "--mixed"),
    ):
        with pytest.raises(DataError, match=reason):
            main([*line, *extra])
