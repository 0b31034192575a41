"""Refuse Python files that have grown past one room: `file_length.py PATH...`."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT = 400  # a file over 300 lines is looked at in review; over this it is split


def too_long(paths: list[str]) -> list[str]:
    files = [
        file
        for path in map(Path, paths)
        for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))
    ]
    counts = ((file, len(file.read_text().splitlines())) for file in files)
    return [f"{file}: {lines} lines (limit {LIMIT})" for file, lines in counts if lines > LIMIT]


if __name__ == "__main__":
    found = too_long(sys.argv[1:])
    print("\n".join(found) or "file length ok")
    sys.exit(bool(found))
