from __future__ import annotations

import logging
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from vid_tree import vid_tree, write_image

from stpn_data.cache import cache_folder, cached_index, fingerprint, load_index, save_index
from stpn_data.index import VideoIndex
from stpn_data.readers.imagenet_vid import read_imagenet_vid


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path / "a"))
    assert cache_folder() == tmp_path / "a"
    monkeypatch.delenv("STPN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_folder() == tmp_path / "b/stpn"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # not valid, says the specification
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c/.cache/stpn"
    monkeypatch.setenv("STPN_CACHE", str(tmp_path / "a"))
    assert cached_index(["x", "y"]) != cached_index(["xy"])
    assert cached_index(["x", "y"]).parent == tmp_path / "a/indexes"


def test_an_index_comes_back_whole(tmp_path: Path) -> None:
    index = read_imagenet_vid(vid_tree(tmp_path / "tree"), "train")
    path = tmp_path / "deep/er/x.npz"
    save_index(path, index, "stamp")
    again = load_index(path, "stamp")
    assert again is not None
    for field in fields(VideoIndex):
        before, after = getattr(index, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            assert np.array_equal(before, after)
            assert before.dtype == after.dtype
        else:
            assert before == after
    assert os.listdir(path.parent) == ["x.npz"]
    assert load_index(path, "other stamp") is None


def test_damaged_and_old_files_are_read_again(tmp_path: Path) -> None:
    index = read_imagenet_vid(vid_tree(tmp_path / "tree"), "train")
    path = tmp_path / "x.npz"
    assert load_index(path, "s") is None
    save_index(path, index, "s")
    data = path.read_bytes()
    for damaged in (b"", b"x", data[:-50], data[: len(data) // 2]):
        path.write_bytes(damaged)
        assert load_index(path, "s") is None
    np.savez(path, other=np.zeros(3))
    assert load_index(path, "s") is None
    np.savez(path, texts=np.array([{}], object))  # a pickle inside is never opened
    assert load_index(path, "s") is None


def test_a_cache_that_cannot_be_written_is_only_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = read_imagenet_vid(vid_tree(tmp_path / "tree"), "train")
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING):
        save_index(tmp_path / "file/x.npz", index, "s")
    assert "the index is not kept" in caplog.text


def test_what_changes_a_fingerprint(tmp_path: Path) -> None:
    tree = vid_tree(tmp_path)
    places = [tree / "ImageSets", tree / "Annotations", tree / "Data", tree / "classes.txt"]
    stamps = [fingerprint(places)]
    xml = tree / "Annotations/VID/train/s/a/000000.xml"

    def changed() -> bool:
        stamps.append(fingerprint(places))
        return stamps[-1] not in stamps[:-1]

    assert not changed()
    xml.write_text(xml.read_text() + " ")
    assert changed()  # written: another size
    status = xml.stat()
    os.utime(xml, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert changed()  # written in the same size
    xml.rename(xml.with_name("000009.xml"))
    assert changed()
    image = tree / "Data/VID/train/s/a/000000.JPEG"
    write_image(image, 99, (80, 60))
    assert not changed()  # the content of an image is not in an index
    image.unlink()
    assert changed()
    write_image(tree / "Data/VID/train/s/new/000000.JPEG")
    assert changed()
    (tree / "classes.txt").write_text("dog\n")
    assert changed()
    (tree / "ImageSets/VID/VID_val_videos.txt").write_text("")
    assert changed()
