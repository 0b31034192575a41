"""Objects of training code beside the weights: left empty, their classes never imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint

WEIGHT = torch.arange(8, dtype=torch.float32).reshape(2, 4)
CODE = """
import pathlib
MARKER = pathlib.Path(__file__).with_name("ran")
class Plain:
    def __setstate__(self, state):
        MARKER.touch()
class Called:
    def __reduce__(self):
        return Called, ()
class Given(Plain):
    def __getnewargs__(self):
        return (1,)
    def __new__(cls, *args):
        return object.__new__(cls)
"""


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "lib"]:
        del sys.modules[name]


@pytest.fixture
def training_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path with `lib.train.admin.stats` and `lib.other`."""
    folder = tmp_path / "lib/train/admin"
    folder.mkdir(parents=True)
    (folder / "stats.py").write_text(CODE)
    (tmp_path / "lib/other.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    forget()


def write(path: Path, module: str, kind: str) -> None:
    thing: Any = getattr(importlib.import_module(module), kind)()
    thing.value = 1
    torch.save({"net": {"w": WEIGHT}, "stats": {"loss": [thing]}}, path)
    forget()


def test_the_weights_are_read_and_the_class_is_not(training_code, tmp_path):
    path, marker = tmp_path / "a.pth", training_code / "ran"
    write(path, "lib.train.admin.stats", "Plain")
    before = torch.serialization.get_safe_globals()
    found = read_checkpoint(path)
    assert torch.equal(found.state["w"], WEIGHT)
    assert found.state.keys() == {"w"}
    assert not any(name.split(".")[0] == "lib" for name in sys.modules)
    assert not marker.exists()
    assert torch.serialization.get_safe_globals() == before
    torch.load(path, weights_only=False)  # control: its code would have run
    assert marker.exists()


@pytest.mark.parametrize(
    ("module", "kind", "says"),
    [
        ("lib.other", "Plain", r"asks for 'lib\.other\.Plain'"),
        ("lib.train.admin.stats", "Called", "unusual form"),
        ("lib.train.admin.stats", "Given", "makes an object of"),
    ],
)
def test_other_classes_and_other_ways_are_refused(training_code, tmp_path, module, kind, says):
    path = tmp_path / "a.pth"
    write(path, module, kind)
    with pytest.raises(InputError, match=says):
        read_checkpoint(path)
