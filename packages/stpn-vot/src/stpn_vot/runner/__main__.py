"""`python -m stpn_vot.runner INPUT --model DIR --box x,y,w,h --out OUT`: tracking without torch."""

from __future__ import annotations

import sys

from stpn_vot.runner.command import main


def _run() -> int:
    try:
        return main(sys.argv[1:])
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if not isinstance(code, int):
            raise
        print(f"error: {error}", file=sys.stderr)
        return code


if __name__ == "__main__":
    sys.exit(_run())
