from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from vid_tree import opened_paths
from vis_tree import LENGTHS, content, rectangle_mask, write_frames

from stpn_data import open_dataset
from stpn_data.check import check_dataset
from stpn_data.cli import main
from stpn_data.convert import convert
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.masks import instances_of

TRACKS = {"a": {2: 3, 4: 7}, "b": {1: 7}}  # video -> object -> category id
VISIBLE = {2: (0, 1, 2, 3), 4: (1, 2), 1: (1, 2)}


def mask_folder(base: Path, mode: str = "P", sub: str = "") -> Path:
    """DAVIS-like: object n has value n, and lies over those before it."""
    write_frames(base / "JPEGImages" / sub)
    for name, tracks in TRACKS.items():
        folder = base / "Annotations" / sub / name
        folder.mkdir(parents=True)
        for t in range(LENGTHS[name]):
            values = np.zeros((48, 64), np.uint8)
            for track in tracks:
                if t in VISIBLE[track]:
                    values[rectangle_mask(track, t) > 0] = track
            image = Image.fromarray(values)
            if mode == "P":
                image.putpalette(
                    [channel for n in range(256) for channel in (n, 255 - n, 9 * n % 256)]
                )
                values[0, 0] = 255
                palette = image.getpalette()
                image = Image.fromarray(values, "P")
                image.putpalette(palette or [])
            if mode == "RGB":
                image = Image.fromarray(np.stack([values * 60, values * 5, values * 0], axis=-1))
            image.save(folder / f"{5 * t:05d}.png")
    return base


def coco_json(base: Path, form: str = "compressed", **changes: Any) -> Path:
    """The same videos as images with masks, tracks and `video_id`."""
    write_frames(base / "images")
    data = content(form)
    names = {20: "a", 10: "b"}
    images, objects = [], []
    for video in data["videos"]:
        for t, file in enumerate(video["file_names"]):
            entry = {"id": len(images) + 1, "file_name": file, "width": 64, "height": 48}
            images.append(entry | {"video_id": video["id"], "frame_id": t})
    at = {(image["video_id"], image["frame_id"]): image["id"] for image in images}
    for entry in data["annotations"]:
        for t, segmentation in enumerate(entry["segmentations"]):
            if segmentation is not None:
                objects.append(
                    {
                        "id": len(objects) + 1,
                        "image_id": at[entry["video_id"], t],
                        "category_id": entry["category_id"],
                        "bbox": entry["bboxes"][t],
                        "segmentation": segmentation,
                        "track_id": entry["id"],
                    }
                )
    whole = {
        "videos": [{"id": number, "name": name} for number, name in names.items()],
        "images": images,
        "annotations": objects,
        "categories": data["categories"],
    }
    path = base / "annotations/instances.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole | changes))
    return path


def read(out: Path) -> VideoIndex:
    (audit,) = check_dataset(out, progress=False)
    assert audit.defects == ()
    return open_dataset(out, audit.split, cache=False, progress=False)


def masks(index: VideoIndex, video: str) -> list[list[np.ndarray]]:
    number = index.video_names.index(video)
    return [list(index.masks_of(frame)) for frame in index.frames_of(number)]


def expected(video: str, t: int) -> list[np.ndarray]:
    return [rectangle_mask(n, t) for n in sorted(TRACKS[video]) if t in VISIBLE[n]]


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
@pytest.mark.parametrize("sub", ["", "480p"])
def test_folders_of_masks(tmp_path: Path, mode: str, sub: str) -> None:
    source = mask_folder(tmp_path / "davis", mode, sub)
    assert main(["convert", str(source), str(tmp_path / "out"), "--to", "youtube_vis"]) == 0
    index = read(tmp_path / "out")
    assert index.video_names == ("a", "b")
    assert index.classes == ("object",)
    assert index.masks is not None
    for t, found in enumerate(masks(index, "b")):
        assert len(found) == len(expected("b", t))
        assert all(map(np.array_equal, found, expected("b", t)))
    for t, found in enumerate(masks(index, "a")):
        lower, upper = rectangle_mask(2, t), rectangle_mask(4, t)
        seen = [lower & ~upper, upper] if t in VISIBLE[4] else [lower]
        assert np.array_equal(found, seen)
    assert (
        os.stat(index.frame_path(0)).st_ino
        == os.stat(source / "JPEGImages" / sub / "a/00000.png").st_ino
    )


@pytest.mark.parametrize("form", ["compressed", "uncompressed", "polygon"])
def test_coco_json_with_tracks(tmp_path: Path, form: str) -> None:
    path = coco_json(tmp_path / "coco", form)
    convert(path, tmp_path / "out", images=tmp_path / "coco/images", split="valid", progress=False)
    index = read(tmp_path / "out")
    assert index.classes == ("owl", "fish")
    for video in ("a", "b"):
        for t, found in enumerate(masks(index, video)):
            assert len(found) == len(expected(video, t))
            assert all(map(np.array_equal, found, expected(video, t)))
    found = [(i.label, i.areas) for i in instances_of(index, index.video_names.index("a"))]
    assert found == [(0, [420.0] * 4), (1, [None, 465.0, 465.0, None])]
    with pytest.raises(DataError, match=r"valid\.json: exists already"):
        convert(path, tmp_path / "out", images=tmp_path / "coco/images", split="valid")
    convert(path, tmp_path / "out", images=tmp_path / "coco/images", copy=True, progress=False)
    assert open_dataset(tmp_path / "out", "train", cache=False).num_videos == 2


def test_videos_by_folder_and_images_on_their_own(tmp_path: Path) -> None:
    path = coco_json(tmp_path)
    data = json.loads(path.read_text())
    del data["videos"]
    for image in data["images"]:
        del image["video_id"]
    for entry in data["annotations"]:
        entry["attributes"] = {"track_id": entry.pop("track_id")}
    path.write_text(json.dumps(data))
    convert(path, tmp_path / "out", images=tmp_path / "images", progress=False)
    assert read(tmp_path / "out").video_names == ("a", "b")
    for entry in data["annotations"]:
        del entry["attributes"]
    path.write_text(json.dumps(data))
    convert(path, tmp_path / "stills", images=tmp_path / "images", progress=False)
    stills = read(tmp_path / "stills")
    assert stills.num_videos == stills.num_frames == 7
    assert len(stills.boxes) == 8


def test_categories_of_youtube_vos_and_a_list(tmp_path: Path) -> None:
    source = mask_folder(tmp_path / "vos")
    objects = {"2": {"category": "owl"}, "4": {"category": "fish"}}
    meta = {"videos": {"a": {"objects": objects}, "b": {"objects": {"1": {"category": "cow"}}}}}
    (source / "meta.json").write_text(json.dumps(meta))
    (source / "Annotations/a/00005.png").unlink()
    (source / "list.txt").write_text("a\n")
    found, _ = convert(source, tmp_path / "out", listed=source / "list.txt", progress=False)
    assert found.notes == ["1 frames without a mask are left out"]
    index = read(tmp_path / "out")
    assert index.video_names == ("a",)
    assert index.num_frames == 3
    assert [index.classes[i.label] for i in instances_of(index, 0)] == ["owl", "fish"]
    (source / "list.txt").write_text("a\nzebra\n")
    with pytest.raises(DataError, match="has no masks of zebra"):
        convert(source, tmp_path / "other", listed=source / "list.txt")


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_what_stops_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    source = mask_folder(tmp_path / "davis")
    whole = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target.suffix == ".json":
            raise error
        return whole(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises((DataError, KeyboardInterrupt)):
            convert(source, tmp_path / "out", progress=False)
    assert not list((tmp_path / "out").iterdir())
    convert(source, tmp_path / "out", progress=False)
    assert read(tmp_path / "out").num_videos == 2


def test_a_linked_frame_becomes_a_file(tmp_path: Path) -> None:
    source = mask_folder(tmp_path / "davis")
    frame = source / "JPEGImages/a/00000.png"
    frame.rename(source / "kept.png")
    frame.symlink_to("../../kept.png")
    convert(source, tmp_path / "out", progress=False)
    new = tmp_path / "out/train/JPEGImages/a/00000.png"
    assert not new.is_symlink()
    assert new.read_bytes() == (source / "kept.png").read_bytes()


def change(path: Path, *way: Any) -> None:
    data = json.loads(path.read_text())
    *steps, last, value = way
    inner = data
    for step in steps:
        inner = inner[step]
    inner[last] = value
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (("annotations", 1, "segmentation", None), "/annotations/1: no segmentation"),
        (("annotations", 1, "segmentation", [[1, 2, "x", 4, 5, 6]]), "/annotations/1/segmentation"),
        (("annotations", 3, "track_id", None), "/annotations/3: needs a track_id"),
        (("annotations", 3, "category_id", 7), "/annotations/3: track 2 is owl, then fish"),
        (("annotations", 3, "image_id", 1), "track 2 is twice in one image"),
        (("annotations", 3, "image_id", 99), "image_id 99 does not exist"),
        (("images", 4, "width", 65), "differ in size"),
        (("images", 1, "file_name", "a/9.png"), "9.png: no such image"),
        (("images", 1, "file_name", "../x"), "refusing the path"),
    ],
)
def test_faults_of_coco_json_have_a_place(
    tmp_path: Path, way: tuple[Any, ...], reason: str
) -> None:
    path = coco_json(tmp_path)
    change(path, *way)
    with opened_paths() as paths, pytest.raises(DataError, match=reason):
        convert(path, tmp_path / "out", images=tmp_path / "images", progress=False)
    assert not any((tmp_path / "out").glob("*"))
    assert not list((tmp_path).glob("out/.*"))
    assert not any(p.endswith("/x") for p in paths)


def test_faults_of_folders_have_a_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        convert(tmp_path / "none", tmp_path / "out")
    with pytest.raises(DataError, match="expected a COCO-style"):
        convert(tmp_path, tmp_path / "out")
    source = mask_folder(tmp_path / "davis")
    mask = source / "Annotations/a/00005.png"
    whole = mask.read_bytes()
    for content_, reason in (
        (whole[:60], "00005.png: cannot be decoded"),
        (b"GIF89a" + bytes(40), "00005.png"),
        (b"", "00005.png: the file is empty"),
    ):
        mask.write_bytes(content_)
        with pytest.raises(DataError, match=reason):
            convert(source, tmp_path / "out", progress=False)
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(mask)
    with pytest.raises(DataError, match=r"00005\.png: 9×8 pixels, its frames have 64×48"):
        convert(source, tmp_path / "out", progress=False)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(mask)
    with pytest.raises(DataError, match="more than 1000 objects; is this a mask"):
        convert(source, tmp_path / "out", progress=False)
    assert not any((tmp_path / "out").glob("*"))
    mask.write_bytes(whole)
    (source / "meta.json").write_text('{"videos": {"a": 3}}')
    with pytest.raises(DataError, match=r"meta\.json: not as YouTube-VOS has it"):
        convert(source, tmp_path / "out", progress=False)
    (source / "meta.json").unlink()
    convert(source, tmp_path / "out", progress=False)  # and without a fault it is read


def test_a_black_and_white_mask_is_one_object(tmp_path: Path) -> None:
    source = mask_folder(tmp_path / "davis")
    for file in (source / "Annotations").rglob("*.png"):
        values = np.asarray(Image.open(file))
        Image.fromarray(np.where((values > 0) & (values < 255), 255, 0).astype(np.uint8)).save(file)
    convert(source, tmp_path / "out", category="thing", progress=False)
    index = read(tmp_path / "out")
    assert index.classes == ("thing",)
    assert [len(instances_of(index, v)) for v in range(2)] == [1, 1]
