"""`release_tag.py stpn-vod-v0.2.0`: print the package; fail if tag, version, changelog disagree."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def package_of(tag: str, root: Path = ROOT) -> str:
    """The package that `tag` releases. Raises SystemExit with a reason."""
    match = re.fullmatch(r"(stpn-[a-z]+)-v(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)", tag)
    if not match:
        raise SystemExit(f"{tag}: expected <package>-v<version>, such as stpn-core-v0.1.0")
    name, version = match.groups()
    folder = root / "packages" / name
    if not folder.is_dir():
        raise SystemExit(f"{tag}: there is no package {name}")
    declared = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    if declared != version:
        raise SystemExit(f"{tag}: {name} is at version {declared}")
    if f"## {version}" not in (folder / "CHANGELOG.md").read_text():
        raise SystemExit(f"{tag}: {name}/CHANGELOG.md has no section '## {version}'")
    return name


if __name__ == "__main__":
    print(package_of(sys.argv[1]))
