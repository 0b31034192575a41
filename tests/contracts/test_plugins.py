"""All packages installed together: the one `stpn` command and its plugins."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = {
    file.parent.name: tomllib.loads(file.read_text())["project"]
    for file in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
COMMANDS = [point.name for point in entry_points(group="stpn.commands")]
STPN = str(Path(sys.executable).with_name("stpn"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False)


def test_every_package_with_a_command_is_found_once():
    declared = [
        name
        for project in PROJECTS.values()
        for name in project.get("entry-points", {}).get("stpn.commands", {})
    ]
    assert sorted(declared) == sorted(COMMANDS)
    assert len(set(COMMANDS)) == len(COMMANDS)


def test_every_plugin_function_loads():
    for group in ("stpn.commands", "stpn.converters"):
        for point in entry_points(group=group):
            assert callable(point.load()), point


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_without_torch(command):
    script = (
        "import sys\nfrom stpn_core.cli import main\n"
        f"try: code = main([{command!r}, '--help'])\nexcept SystemExit as stop: code = stop.code\n"
        "assert not code, code\n"
        "assert 'torch' not in sys.modules, 'torch was imported for --help'\n"
    )
    result = run(sys.executable, "-c", script)
    assert result.returncode == 0, result.stderr
    assert command in result.stdout


def test_help_lists_every_command():
    listed = run(STPN, "--help")
    assert listed.returncode == 0
    assert all(command in listed.stdout for command in COMMANDS)


def test_version_lists_every_package():
    listed = run(STPN, "--version").stdout
    for name, project in PROJECTS.items():
        assert project["version"] == version(name)
        assert f"{name} {project['version']}" in listed


@pytest.mark.parametrize("name", PROJECTS)
def test_changelog_speaks_of_the_version(name):
    text = (ROOT / "packages" / name / "CHANGELOG.md").read_text()
    assert f"## {PROJECTS[name]['version']}" in text


@pytest.mark.parametrize("name", PROJECTS)
def test_ranges_on_siblings_admit_the_workspace(name):
    """uv does not hold workspace members to these ranges, so they could be wrong unnoticed."""
    from packaging.requirements import Requirement

    for requirement in map(Requirement, PROJECTS[name]["dependencies"]):
        if requirement.name in PROJECTS:
            assert requirement.specifier.contains(PROJECTS[requirement.name]["version"])
            assert any(s.operator == "<" for s in requirement.specifier), f"{requirement}: no cap"
