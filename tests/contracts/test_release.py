"""What the workflows rely on: which packages a change affects, what a tag may release."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / ".github" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GRAPH = {
    "core": ("packages/core/", set()),
    "data": ("packages/data/", set()),
    "one": ("packages/one/", {"core", "data"}),
    "two": ("packages/two/", {"core"}),
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["packages/one/src/a.py"], ["one"]),
        (["packages/data/src/a.py"], ["data", "one"]),
        (["packages/core/src/a.py"], ["core", "one", "two"]),
        (["uv.lock"], ["core", "data", "one", "two"]),
        (["README.md", "docs/a.md"], []),
        ([], []),
    ],
)
def test_affected(changed, expected):
    assert load("affected").affected(changed, GRAPH) == expected


def test_graph_is_read_from_the_packages():
    graph = load("affected").read_graph()
    assert set(graph) == {path.name for path in ROOT.glob("packages/*") if path.is_dir()}
    assert {"stpn-core", "stpn-data"} <= graph["stpn-vod"][1]


def test_release_tag(tmp_path):
    package_of = load("release_tag").package_of
    folder = tmp_path / "packages" / "stpn-toy"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "stpn-toy"\nversion = "0.2.0"\n')
    (folder / "CHANGELOG.md").write_text("## 0.2.0\n")
    assert package_of("stpn-toy-v0.2.0", tmp_path) == "stpn-toy"
    for tag in ("stpn-toy-v0.3.0", "stpn-none-v0.2.0", "v0.2.0", "stpn-toy-v0.2"):
        with pytest.raises(SystemExit, match=re.escape(tag)):
            package_of(tag, tmp_path)
    (folder / "CHANGELOG.md").write_text("## 0.1.0\n")
    with pytest.raises(SystemExit, match="CHANGELOG"):
        package_of("stpn-toy-v0.2.0", tmp_path)


def test_actions_are_pinned_by_commit():
    uses = [
        line.split("uses:")[1].split("#")[0].strip()
        for file in ROOT.glob(".github/workflows/*.yml")
        for line in file.read_text().splitlines()
        if "uses:" in line
    ]
    assert uses
    assert all(re.fullmatch(r"[\w\-./]+@[0-9a-f]{40}", action) for action in uses), uses


def test_readme_and_check_script_run_the_same_command():
    command = "python3 -m pip install uv && python3 -m uv tool run --with uv nox"
    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text()
    assert command in (ROOT / "CONTRIBUTING.md").read_text()
