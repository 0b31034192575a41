"""`affected.py BASE`: JSON list of packages whose tests a change since commit BASE can alter.

A package is affected if its folder changed, or one it depends on, or anything all packages share
(the lock, the sessions, the shared fixtures). Documents at the top affect none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ("uv.lock", "pyproject.toml", "noxfile.py", "conftest.py", ".github/", ".ci/", "tests/")


def read_graph() -> dict[str, tuple[str, set[str]]]:
    """Package name -> (folder, workspace packages it depends on)."""
    graph = {}
    for file in ROOT.glob("packages/*/pyproject.toml"):
        table = tomllib.loads(file.read_text())
        siblings = table.get("tool", {}).get("uv", {}).get("sources", {})
        graph[table["project"]["name"]] = (f"packages/{file.parent.name}/", set(siblings))
    return graph


def affected(changed: list[str], graph: dict[str, tuple[str, set[str]]]) -> list[str]:
    """Names of the affected packages, sorted."""
    if any(path.startswith(SHARED) for path in changed):
        return sorted(graph)
    found = {
        name for name, (folder, _) in graph.items() if any(p.startswith(folder) for p in changed)
    }
    while True:
        reached = found | {name for name, (_, needs) in graph.items() if needs & found}
        if reached == found:
            return sorted(found)
        found = reached


def main(base: str) -> list[str]:
    result = subprocess.run(
        ["git", "diff", "--name-only", f"{base}...HEAD"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    graph = read_graph()
    if result.returncode:  # a new branch has no base to compare with: everything
        return sorted(graph)
    return affected(result.stdout.splitlines(), graph)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
