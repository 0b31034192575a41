from __future__ import annotations

import base64
from datetime import date
from importlib.metadata import version

from stpn_core.page import as_base64, environment


def test_the_environment_names_date_machine_and_versions():
    said = environment(["torch", "stpn-core"])
    assert list(said) == ["date", "machine", "Python", "torch", "stpn-core"]
    assert said["torch"] == version("torch")
    assert date.fromisoformat(said["date"])
    assert "threads" in said["machine"]


def test_a_file_in_a_page_is_the_same_file():
    data = bytes(range(256))
    assert base64.b64decode(as_base64(data)) == data
