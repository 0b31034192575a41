"""`audit.py REQUIREMENTS`: pip-audit over a hashed lock, counting what was really looked up.

pip-audit ends with success when it had to skip packages; here a skipped package is a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main(requirements: str) -> int:
    lines = Path(requirements).read_text().splitlines()
    locked = {
        line.split("==")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))
    }
    options = ["--strict", "--require-hashes", "--disable-pip", "-f", "json", "-r", requirements]
    result = subprocess.run(
        ["pip-audit", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if not result.stdout.strip():
        print(result.stderr, file=sys.stderr)
        return result.returncode or 1
    report = json.loads(result.stdout)["dependencies"]
    looked_up = {entry["name"] for entry in report if "skip_reason" not in entry}
    vulnerable = {
        entry["name"]: [fault["id"] for fault in entry["vulns"]]
        for entry in report
        if entry.get("vulns")
    }
    for name, faults in vulnerable.items():
        print(f"{name}: {', '.join(faults)}")
    # markers make the lock name packages that this platform does not install; those are skipped rightly
    missing = {name for name in locked if name not in looked_up}
    print(f"locked {len(locked)}, looked up {len(looked_up)}, vulnerable {len(vulnerable)}")
    if missing:
        print("not looked up: " + ", ".join(sorted(missing)))
    return 1 if vulnerable or missing or result.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
