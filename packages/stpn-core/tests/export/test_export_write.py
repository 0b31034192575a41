"""What exports of all tasks share: folders, sizes, manifests and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from stpn_core.errors import InputError, NumericsError, StpnError
from stpn_core.export.check import relative
from stpn_core.export.manifest import Check, check_files, is_exported, read_manifest
from stpn_core.export.write import (
    Strays,
    check_request,
    made_with,
    new_export,
    pad_sizes,
    parse_size,
    refuse_above,
    report,
)
from stpn_core.settings import STRICT

THINGS = Strays("things", 50)


@dataclass(frozen=True)
class Manifest:
    __pydantic_config__ = STRICT

    version: int
    files: dict[str, int] = field(default_factory=dict)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with new_export(out) as folder:
        (folder / "model.json").write_text("one")
        assert not out.exists()
    assert is_exported(out)
    with pytest.raises(NumericsError):
        fail(out, NumericsError("no"))
    assert (out / "model.json").read_text() == "one"
    with new_export(out) as folder:
        (folder / "model.json").write_text("three")
    assert (out / "model.json").read_text() == "three"
    with pytest.raises(StpnError, match="cannot be written"):
        fail(out, OSError("disk full"))
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out"), new_export(tmp_path / "file" / "out"):
        pass


def fail(out: Path, error: Exception) -> None:
    with new_export(out) as folder:
        (folder / "model.json").write_text("two")
        raise error


def test_requests_that_cannot_be_met(tmp_path: Path) -> None:
    def ask(onnx: bool = False, program: bool = True, size: tuple[int, int] = (64, 96)) -> None:
        check_request(
            onnx=onnx, program=program, opset=20, sizes=[size], pad_to=32, out=tmp_path / "out",
            extra="x[export]",
        )  # fmt: skip

    ask()
    for refused, words in (
        (lambda: ask(program=False), "--format"),
        (lambda: ask(size=(60, 96)), "multiples of 32"),
        (lambda: ask(size=(0, 96)), "multiples of 32"),
    ):
        with pytest.raises(InputError, match=words):
            refused()
    (tmp_path / "out").mkdir()
    ask()
    (tmp_path / "out" / "thesis").write_text("")
    with pytest.raises(InputError, match="no export"):
        ask()


def test_sizes() -> None:
    assert pad_sizes([(96, 64), (60, 60), (64, 64)], 32) == ((64, 64), (96, 64))
    assert parse_size("608x1024") == (608, 1024)
    for text in ("608", "608x", "608×1024", "-1x5", "123456x1"):
        with pytest.raises(InputError, match="expected HEIGHTxWIDTH"):
            parse_size(text)


def test_differences_are_said_and_refused() -> None:
    good, bad = Check("head", "64x96", "random", 1e-4, 100, 2), Check("head", "64x96", "real", 0.5)
    refuse_above([good], 1e-3, THINGS)
    with pytest.raises(NumericsError, match=r"5\.0e-01 on real frames"):
        refuse_above([good, bad], 1e-3, THINGS)
    many = Check("head", "64x96", "random", 1e-4, 100, 3)
    with pytest.raises(NumericsError, match="3 of 100 things on one side only"):
        refuse_above([many], 1e-3, THINGS)
    with pytest.raises(NumericsError):
        refuse_above([Check("head", "64x96", "real", float("nan"))], 1e-3, THINGS)
    refuse_above([bad, many], float("inf"), THINGS)
    said: list[str] = []
    report([good, bad], THINGS, said.append)
    assert "2 of 100 things" in said[0]
    assert "things" not in said[1]
    ones = torch.ones(3)
    assert relative([2 * ones], [(2 * ones + 0.5).numpy()]).largest == pytest.approx(0.25)
    assert relative([ones], [(ones * float("nan")).numpy()]).largest == float("inf")
    assert relative([ones], [torch.ones(4).numpy()]).largest == float("inf")


def test_manifests(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    with pytest.raises(InputError, match=r"no exported model.*stpn x export"):
        read_manifest(tmp_path, Manifest, 1, "stpn x export")
    path.write_text('{"version": 1, "files": {"a": 3}}')
    manifest = read_manifest(tmp_path, Manifest, 1, "stpn x export")
    with pytest.raises(InputError, match="version 1 of the layout, this package reads 2"):
        read_manifest(tmp_path, Manifest, 2, "stpn x export")
    (tmp_path / "a").write_text("123")
    check_files(tmp_path, manifest.files, ["a"])
    for files, named, words in (
        ({"a": 4}, ["a"], "3 bytes, model.json says 4"),
        ({"a": 3}, ["b"], "No such file"),
        ({"../a": 3}, [], "not the name of a file beside it"),
        ({"a": 3}, [".."], "not the name of a file beside it"),
    ):
        with pytest.raises(InputError, match=words):
            check_files(tmp_path, files, named)
    assert set(made_with("torch", "no-such-package")) == {"torch"}
