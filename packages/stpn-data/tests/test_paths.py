from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stpn_data.errors import DataError
from stpn_data.paths import (
    check_relative,
    list_files,
    natural_key,
    read_file,
    resolve_inside,
    walk_files,
    walk_folders,
)

LEAVING = [
    "/etc/passwd",
    "../secret",
    "a/../../secret",
    "a/..",
    "..",
    "~/x",
    "~root",
    "a\\..\\..\\x",
    "C:/x",
    "C:x",
    "a\0b",
    "a\nb",
    "",
    ".",
    "./a",
    "a//b",
    "a/",
    "n" * 4096,
]


@pytest.mark.parametrize("name", LEAVING)
def test_names_that_could_leave_the_root_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="list:3: refusing the path"):
        check_relative(name, "list:3")


@given(st.text(max_size=60))
def test_an_accepted_name_stays_below_the_root(name: str) -> None:
    try:
        check_relative(name, "x")
    except DataError:
        return
    joined = os.path.normpath(os.path.join("/data/root", name))
    assert joined.startswith("/data/root/")


def test_links_are_followed_inside_the_root_only(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    (outside / "x.png").touch()
    (root / "a/1.png").touch()
    (root / "inner").symlink_to(root / "a")
    assert resolve_inside(root, "inner/1.png", "x") == str(root / "a/1.png")
    assert walk_files(root, str(root), (".png",)) == ["a/1.png", "inner/1.png"]
    (root / "out").symlink_to(outside)
    with pytest.raises(DataError, match="leads out of the data set"):
        resolve_inside(root, "out/x.png", "x")
    with pytest.raises(DataError, match="leads out of the data set"):
        walk_folders(root, str(root), (".png",))
    (root / "out").unlink()
    (root / "a/2.png").symlink_to(outside / "x.png")
    with pytest.raises(DataError, match="leads out of the data set"):
        list_files(root, str(root / "a"), (".png",))
    linked = tmp_path / "linked"
    linked.symlink_to(root)  # the root itself may be a link
    assert resolve_inside(linked, "inner", "x") == str(root / "a")


def test_a_link_to_a_parent_does_not_loop(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/loop").symlink_to(tmp_path)
    with pytest.raises(DataError, match="a folder that holds it"):
        walk_folders(tmp_path, str(tmp_path), (".png",))


def test_listing_ignores_other_files_and_missing_folders(tmp_path: Path) -> None:
    for name in ("b10.JPG", "b9.jpg", ".hidden.jpg", "x.txt"):
        (tmp_path / name).touch()
    assert list_files(tmp_path, str(tmp_path), (".jpg",)) == {"b10.JPG", "b9.jpg"}
    assert list_files(tmp_path, str(tmp_path / "none"), (".jpg",)) == set()
    assert walk_files(tmp_path, str(tmp_path), (".jpg",)) == ["b9.jpg", "b10.JPG"]


def test_read_file_refuses_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it for reading would block for ever
    (tmp_path / "big").write_bytes(b"12345")
    for name, reason in (
        ("pipe", "not a regular file"),
        ("big", "5 bytes, more than the 4 allowed"),
        ("absent", "no such file"),
        ("", "not a regular file|is a folder"),
        ("a\0b", "not a file name"),
    ):
        with pytest.raises(DataError, match=reason):
            read_file(f"{tmp_path}/{name}", 4)
    assert read_file(tmp_path / "big", 5) == b"12345"
    assert read_file(tmp_path / "big", 5, first=2) == b"12"


def test_natural_order() -> None:
    names = ["f10.jpg", "f9.jpg", "F1.jpg", "2.jpg", "10.jpg", "f09.jpg"]
    assert sorted(names, key=natural_key) == [
        *("2.jpg", "10.jpg", "F1.jpg", "f09.jpg", "f9.jpg", "f10.jpg")
    ]


@given(st.lists(st.text(max_size=8), max_size=6))
def test_natural_keys_can_always_be_compared(names: list[str]) -> None:
    once = sorted(names, key=natural_key)
    assert sorted(once, key=natural_key) == once


def test_the_watch_used_below_sees_an_open(tmp_path: Path) -> None:
    """Control of the audit hook that the reader tests rely on."""
    seen: list[str] = []
    active = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if active[0] and event in ("open", "os.scandir", "os.listdir"):
            seen.append(str(arguments[0]))

    sys.addaudithook(hook)
    (tmp_path / "x").touch()
    read_file(tmp_path / "x", 1)
    list_files(tmp_path, str(tmp_path), (".x",))
    active[0] = False
    assert str(tmp_path / "x") in seen
    assert str(tmp_path) in seen
