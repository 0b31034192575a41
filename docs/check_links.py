"""Every relative link and picture in every Markdown file of the repository must lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Heading anchors as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def broken(root: Path) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    faults = []
    for name in listed.stdout.splitlines():
        file = root / name
        text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            goal = (file.parent / path).resolve() if path else file
            if not goal.exists():
                faults.append(f"{name}: {target} leads nowhere")
            elif anchor and goal.suffix == ".md" and anchor not in anchors(goal.read_text()):
                faults.append(f"{name}: {target}: no such heading")
    return faults


if __name__ == "__main__":
    found = broken(Path(__file__).resolve().parent.parent)
    print("\n".join(found) or "links ok")
    sys.exit(bool(found))
