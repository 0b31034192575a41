"""Smoke test of installed wheels, away from the sources: `installed_wheel.py PACKAGE DIST ABSENT...`.

Checks that the `stpn` command answers and knows the package's plugin, that packages the wheel does not
need are absent, and that the wheel refuses siblings outside the ranges it declares.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import distribution, requires
from pathlib import Path

from packaging.requirements import Requirement


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check_commands(package: str) -> None:
    commands = [
        point for point in distribution(package).entry_points if point.group == "stpn.commands"
    ]
    if package != "stpn-core" and "stpn-core" not in map(name_of, requires(package) or []):
        for point in commands:  # installed without the command's owner: the entry must still load
            point.load()
        return
    stpn = str(Path(sys.executable).with_name("stpn"))
    for arguments in (["--version"], ["--help"], *([point.name, "--help"] for point in commands)):
        result = run(stpn, *arguments)
        assert result.returncode == 0, (arguments, result.stdout, result.stderr)
    listed = run(stpn, "tasks").stdout
    for point in commands:
        assert point.name in listed, f"{point.name} not listed by `stpn tasks`: {listed}"


def name_of(requirement: str) -> str:
    return Requirement(requirement).name


def empty_wheel(name: str, version: str, folder: Path) -> Path:
    """A wheel with metadata only, to stand for a sibling of another version."""
    stem = f"{name.replace('-', '_')}-{version}"
    files = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{path},sha256={digest.decode()},{len(text)}\n"
    files[f"{stem}.dist-info/RECORD"] = record + f"{stem}.dist-info/RECORD,,\n"
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def check_ranges(package: str, dist: Path) -> None:
    """pip's own resolver: the range's neighbours must be refused, the built sibling accepted."""
    wheel = next(dist.glob(f"{package.replace('-', '_')}-*.whl"))
    siblings = [
        requirement
        for requirement in map(Requirement, requires(package) or [])
        if requirement.name.startswith("stpn-")
    ]
    for sibling in siblings:
        built = next(dist.glob(f"{sibling.name.replace('-', '_')}-*.whl")).name.split("-")[1]
        for version, accepted in ((built, True), ("99.0.0", False), ("0.0.1", False)):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                stand_in = empty_wheel(sibling.name, version, folder)
                result = run(
                    "uv", "pip", "install", "--dry-run", "--python", sys.executable,
                    "--find-links", str(dist), str(stand_in), str(wheel),
                )  # fmt: skip
                assert (result.returncode == 0) == accepted, (sibling, version, result.stderr)
        print(f"{package}: {sibling} holds ({built} accepted, 99.0.0 and 0.0.1 refused)")


def main(package: str, dist: str, *absent: str) -> None:
    for module in absent:
        assert importlib.util.find_spec(module) is None, f"{module} came along with {package}"
    origin = importlib.util.find_spec(package.replace("-", "_"))
    assert origin is not None
    assert "site-packages" in str(origin.origin), origin
    check_commands(package)
    check_ranges(package, Path(dist))
    print(f"{package} {distribution(package).version}: wheel ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
