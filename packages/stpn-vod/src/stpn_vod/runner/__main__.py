"""`python -m stpn_vod.runner INPUT --model DIR --out OUT`: prediction without torch."""

from __future__ import annotations

import sys

from stpn_core.command import run_alone
from stpn_vod.runner.command import main

if __name__ == "__main__":
    sys.exit(run_alone(main, sys.argv[1:]))
