"""`python -m stpn_vot.runner INPUT --model DIR --box x,y,w,h --out OUT`: tracking without torch."""

from __future__ import annotations

import sys

from stpn_core.command import run_alone
from stpn_vot.runner.command import main

if __name__ == "__main__":
    sys.exit(run_alone(main, sys.argv[1:]))
