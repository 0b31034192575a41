from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vid_tree import opened_paths
from vis_tree import content, rectangle_mask, vis_tree

from stpn_data.check import check_dataset
from stpn_data.cli import main
from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.info import describe
from stpn_data.readers.youtube_vis import read_youtube_vis

Change = Callable[[dict[str, Any]], None]


def put(*way: Any) -> Change:
    """Sets data[way[0]][way[1]]… to the last."""

    def change(data: dict[str, Any]) -> None:
        *steps, last, value = way
        for step in steps:
            data = data[step]
        data[last] = value

    return change


def read(base: Path, data: dict[str, Any]) -> tuple[Any, list[Defect], list[Defect]]:
    defects: list[Defect] = []
    oddities: list[Defect] = []
    vis_tree(base, data=data)
    index = read_youtube_vis(
        base, on_defect=defects.append, on_oddity=oddities.append, progress=False
    )
    return index, defects, oddities


A = "annotations"
S = "segmentations"
DEFECTS = {
    "long list": (put(A, 1, S, [None] * 5), "/annotations/1", "segmentations has 5 entries, but"),
    "short boxes": (put(A, 1, "bboxes", []), "/annotations/1", "bboxes has 0 entries, but"),
    "short areas": (put(A, 1, "areas", [1.0]), "/annotations/1", "areas has 1 entries, but"),
    "no list": (put(A, 1, S, "x"), "/annotations/1", "segmentations is no list"),
    "no masks": (put(A, 1, S, None), "/annotations/1", "no segmentations"),
    "id twice": (put(A, 1, "id", 1), "/annotations/1", "annotation 1 is given twice"),
    "id text": (put(A, 1, "id", "2"), "/annotations/1", "id is '2'"),
    "id bool": (put(A, 1, "id", True), "/annotations/1", "id is 'True'"),
    "id huge": (put(A, 1, "id", 1 << 40), "/annotations/1", "more than 31 bits"),
    "no video": (put(A, 1, "video_id", 99), "/annotations/1", "video 99 does not exist"),
    "no category": (put(A, 1, "category_id", 9), "/annotations/1/category_id", "category 9 does"),
    "crowd": (put(A, 1, "iscrowd", 2), "/annotations/1", "iscrowd is '2'"),
    "its width": (put(A, 1, "width", 63), "/annotations/1", "width is 63, but its video has 64"),
    "no object": (put(A, 1, []), "/annotations/1", "expected an object"),
    "rle size": (put(A, 1, S, 2, "size", [64, 48]), "/annotations/1/segmentations/2", "[48, 64]"),
    "rle short": (put(A, 1, S, 2, "counts", [9]), "/segmentations/2", "counts add up to 9"),
    "rle text": (put(A, 1, S, 2, "counts", "é"), "/segmentations/2", "none of theirs"),
    "rle cut": (put(A, 1, S, 2, "counts", "0o"), "/segmentations/2", "cut off"),
    "rle none": (put(A, 1, S, 2, "counts", None), "/segmentations/2", "neither text nor a list"),
    "mask type": (put(A, 1, S, 2, 5), "/segmentations/2", "expected RLE or a list of polygons"),
    "polygon odd": (put(A, 1, S, 2, [[1] * 7]), "/segmentations/2", "even count"),
    "polygon text": (
        put(A, 1, S, 2, [["1"] * 5 + ["x"]]),
        "/segmentations/2",
        "no list of numbers",
    ),
    "box short": (put(A, 1, "bboxes", 2, [1, 2]), "/segmentations/2", "its box is [1, 2]"),
    "area text": (put(A, 1, "areas", 2, "big"), "/segmentations/2", "its area is 'big'"),
    "occlusion": (
        put(A, 1, "occlusion", ["half"] * 4),
        "/segmentations/0",
        "its occlusion is 'half'",
    ),
    "video twice": (put("videos", 1, "id", 20), "/videos/1", "video 20 is given twice"),
    "video size": (put("videos", 1, "width", 0), "/videos/1", "width is '0'"),
    "video huge": (put("videos", 1, "width", 60000), "/annotations/0", "but its video has 60000"),
    "no files": (put("videos", 1, "file_names", []), "/videos/1", "file_names is no list"),
    "file type": (put("videos", 1, "file_names", 1, 3), "/videos/1", "file_names/1 is '3'"),
    "file twice": (
        put("videos", 1, "file_names", ["b/0.png"] * 3),
        "/videos/1",
        "names one file twice",
    ),
    "file out": (put("videos", 1, "file_names", 1, "../x"), "/videos/1", "file_names/1: refusing"),
    "name twice": (put("categories", 1, "name", "fish"), "/categories/1", "is given twice"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_has_a_place_and_is_refused(tmp_path: Path, name: str) -> None:
    change, place, reason = DEFECTS[name]
    data = content()
    change(data)
    if name == "video huge":
        data[A][0]["width"] = 64
    _, defects, _ = read(tmp_path, data)
    hits = [d for d in defects if place in d.place and reason in d.message]
    assert len(hits) == 1, defects
    assert hits[0].place.startswith(f"{tmp_path}/train.json: /")
    with pytest.raises(DataError):
        read_youtube_vis(tmp_path, progress=False)


def test_without_a_change_there_is_none(tmp_path: Path) -> None:
    index, defects, oddities = read(tmp_path, content())
    assert defects == oddities == []
    assert len(index.boxes) == 8


ODDITIES = {
    "null in one list": (put(A, 1, "bboxes", 2, None), f"/{A}/1/{S}/2", "only its box is null", 7),
    "null in one": (put(A, 1, S, 2, None), f"/{A}/1/{S}/2", "only its segmentation is null", 7),
    "empty mask": (put(A, 1, S, 2, "counts", [64 * 48]), f"/{A}/1/{S}/2", "no pixel", 7),
    "short polygon": (
        put(A, 1, S, 2, [[1, 2, 3, 4], [1, 1, 9, 1, 9, 9]]),
        f"/{A}/1/{S}/2",
        "1 polygons of fewer than 6",
        8,
    ),
    "id 0": (put(A, 1, "id", 0), f"/{A}/1/id", "number from 1", 8),
    "length": (put("videos", 1, "length", 9), "/videos/1/length", "there are 3 file_names", 8),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_what_sets_in_use_have_is_counted(tmp_path: Path, name: str) -> None:
    change, place, reason, boxes = ODDITIES[name]
    data = content()
    change(data)
    index, defects, oddities = read(tmp_path, data)
    assert defects == []
    assert len(oddities) == 1
    assert oddities[0].place.endswith(place)
    assert reason in oddities[0].message
    assert len(index.boxes) == boxes
    assert read_youtube_vis(tmp_path, progress=False).notes == (
        f"1 × {oddities[0].kind} in train.json",
    )


def test_several_defects_come_in_one_pass(tmp_path: Path) -> None:
    data = content()
    data[A][0]["video_id"] = 5
    data[A][1][S][0] = data[A][1][S][3] = 1
    data[A][2]["areas"] = []
    _, defects, _ = read(tmp_path, data)
    assert [d.place.rsplit(": ")[1] for d in defects] == [
        "/annotations/0",
        "/annotations/1/segmentations/0",
        "/annotations/1/segmentations/3",
        "/annotations/2",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"videos": [{"id": NaN}]}',
        '{"videos": [{"id": 1, "id": 2}]}',
        '{"videos": ' + "[" * 100_000,
        '{"videos": [{"id": ' + "9" * 5000 + "}]}",
        '{"videos": [], "categories": [], "annotations": 3}',
        '{"videos": []}',
        '{"videos": [], "categories": []}',
        "",
    ],
)
def test_what_is_no_such_file_at_all(tmp_path: Path, text: str) -> None:
    (tmp_path / "train.json").write_text(text)
    with pytest.raises(DataError, match=r"train\.json"):
        read_youtube_vis(tmp_path, progress=False)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.png", "a/../../x", "a\0b", "~/x", "a\\b"])
def test_no_path_leaves_the_root(tmp_path: Path, name: str) -> None:
    data = content()
    data["videos"][0]["file_names"][0] = name
    vis_tree(tmp_path / "in", data=data)
    with opened_paths() as paths, pytest.raises(DataError, match="file_names/0: refusing"):
        read_youtube_vis(tmp_path / "in", progress=False)
    assert all(path.startswith(str(tmp_path / "in")) for path in paths)


def test_a_link_out_of_the_root_is_a_defect(tmp_path: Path) -> None:
    vis_tree(tmp_path / "in")
    frames = tmp_path / "in/train/JPEGImages/a"
    frames.rename(tmp_path / "out")
    frames.symlink_to(tmp_path / "out")
    with pytest.raises(DataError, match="leads out of the data set"):
        read_youtube_vis(tmp_path / "in", progress=False)


def test_check_names_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = content()
    data[A][1]["areas"][0] = 9
    data[A][1]["bboxes"][1] = [30, 30, 4, 4]
    data[A][2][S][1] = None
    data[A][0]["category_id"] = 8
    vis_tree(tmp_path, data=data)
    (tmp_path / "train/JPEGImages/a/00010.png").unlink()
    (audit,) = check_dataset(tmp_path, progress=False)
    assert audit.counts == {
        "area": 1,
        "box and mask": 1,
        "json": 1,
        "missing frame": 1,
        "null in one list": 1,
    }
    found = {defect.kind: str(defect) for defect in audit.defects}
    assert "a/00000.png annotation 2: the area is given as 9, the mask has 420" in found["area"]
    assert "a/00005.png annotation 2: the box is (30, 30, 34, 34)" in found["box and mask"]
    assert main(["check", str(tmp_path)]) == 2
    assert "1 × box and mask" in capsys.readouterr().out


def test_check_and_info_of_a_clean_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path / "cache"))
    data = content()
    data[A][1]["occlusion"] = ["severe_occlusion"] * 2 + ["no_occlusion"] * 2
    base = vis_tree(tmp_path / "set", data=data)
    vis_tree(base, "valid.json", "valid/JPEGImages")
    assert main(["check", str(base)]) == 0
    assert capsys.readouterr().out == (
        "train: 2 videos, 7 frames, 8 boxes; no defects\n"
        "valid: 2 videos, 7 frames, 8 boxes; no defects\n"
    )
    assert main(["check", str(base), "--split", "train[50%:]"]) == 0
    assert capsys.readouterr().out.startswith("train[50%:]: 1 videos, ")
    found = describe(base)["splits"]
    assert list(found) == ["train", "valid"]
    assert found["train"]["masks"] | {"bytes": 0} == {
        "masks": 8,
        "bytes": 0,
        "instances": 4,
        "crowds": 0,
        "never_visible": 1,
        "frames_without": 1,
        "occlusion": {"no_occlusion": 2, "severe_occlusion": 2},
    }
    assert main(["info", str(base)]) == 0
    assert "4 objects (0 crowds, 1 never visible)" in capsys.readouterr().out


def test_real_data_is_clean(shared: Path) -> None:
    audits = check_dataset(shared / "data/youtube_vis", progress=False)
    assert [audit.defects for audit in audits] == [(), ()]


BROKEN = st.sampled_from([None, True, -1, 1.5, "", "x", [], {}, [[]], [None], 1 << 40])


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = enumerate(value) if isinstance(value, list) else []
    items = value.items() if isinstance(value, dict) else items
    inner = [place for key, item in items for place in places(item, (*way, key))]
    return [*([way] if way else []), *inner]


PLACES = [way for way in places(content("polygon")) + places(content()) if len(way) > 1]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PLACES), BROKEN, st.sampled_from(["polygon", "uncompressed"]))
def test_any_value_anywhere_is_read_or_reported(
    tmp_path_factory: pytest.TempPathFactory, way: tuple[Any, ...], value: Any, form: str
) -> None:
    base = tmp_path_factory.getbasetemp() / "fuzz"
    data = deepcopy(content(form))
    try:
        put(*way, value)(data)
    except (KeyError, IndexError, TypeError):
        return
    base.mkdir(exist_ok=True)
    (base / "train.json").write_text(json.dumps(data))
    defects: list[Defect] = []
    try:
        index = read_youtube_vis(base, on_defect=defects.append, progress=False)
    except DataError:
        return
    for frame in range(index.num_frames):
        masks = index.masks_of(frame)
        assert len(masks) == len(index.boxes_of(frame).boxes)
        assert masks.any(axis=(1, 2)).all()
    # a polygon of other numbers is another mask; runs of other numbers are none
    if form == "uncompressed" and not defects and S in way:
        whole = [m for frame in range(4) for m in index.masks_of(frame)]
        assert all(
            any(np.array_equal(m, rectangle_mask(n, t)) for n in (2, 4) for t in range(4))
            for m in whole
        )
