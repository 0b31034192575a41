"""What the tests of every package share: where the reference data lies.

Reference tensors and small real videos are kept beside the checkout, not in it (they may not be
redistributed). `STPN_SHARED` names the folder; `../shared` is tried otherwise. Tests that need it are
skipped with that reason where it is absent, and fail instead if `STPN_REQUIRE_SHARED=1`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("stpn_core.testing")  # suites that tests inherit

Golden = Callable[[str], tuple[dict[str, Any], dict[str, Any]]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that fork trainers come first: torch refuses to train in a process forked from one whose
    automatic differentiation has had threads of its own, as other tests make it have."""
    items.sort(key=lambda item: not re.fullmatch(r"test_train(_\w+)?\.py", item.path.name))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with `golden/` and `data/`."""
    named = os.environ.get("STPN_SHARED")
    path = Path(named) if named else Path(__file__).resolve().parent.parent / "shared"
    if not (path / "golden").is_dir():
        reason = f"no reference data at {path}; STPN_SHARED names the folder with golden/ and data/"
        if os.environ.get("STPN_REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def golden(shared: Path) -> Golden:
    """`golden("vod/a1_swin_d8")` -> (tensors by name, description)."""

    def load(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        from safetensors.torch import load_file

        base = shared / "golden" / name
        tensors_path = base.with_suffix(".safetensors")
        tensors = load_file(tensors_path) if tensors_path.exists() else {}
        return tensors, json.loads(base.with_suffix(".json").read_text())

    return load
