"""`python -m study`: run what is missing, in order of importance, then write the page.

A study that is stopped goes on where it was with the same command.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from study.arms import ARMS, SUPPORT_TESTS, queue
from study.one import result_file, run
from study.page import write_page
from study.setting import FULL, LONG, QUICK, Replicate

ROOT = Path(__file__).parents[1]
QUICK_ARMS = ("twin", "attention_deep", "selsa", SUPPORT_TESTS)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="study", description=(__doc__ or "").split("\n\n")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs")
    size.add_argument(
        "--long", action="store_true", help="1000 steps instead of 400; docs/study/long"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[], help="default 0 1 2")
    parser.add_argument(
        "--arms", nargs="+", default=[], choices=[*ARMS, SUPPORT_TESTS], metavar="ARM"
    )
    parser.add_argument("--out", type=Path, help="page and results; default docs/study")
    parser.add_argument("--work", type=Path, help="videos and runs; default runs/study")
    parser.add_argument("--list", action="store_true", help="show what is done and what is not")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    given = parser.parse_args(argv)
    setting = QUICK if given.quick else LONG if given.long else FULL
    work = (given.work or ROOT / "runs" / "study") / setting.name
    pages = {QUICK: work / "page", LONG: ROOT / "docs" / "study" / "long"}
    out = given.out or pages.get(setting, ROOT / "docs" / "study")
    arms = given.arms or (QUICK_ARMS if given.quick else ())
    todo = queue(given.seeds or ([0, 1] if given.quick else [0, 1, 2]), arms)
    if given.list:
        for arm, seed in todo:
            state = "done" if result_file(out / "results", arm, seed).exists() else "to do"
            print(f"{arm:20} seed {seed}  {state}")
        return 0
    for place, (arm, seed) in enumerate([] if given.page else todo, start=1):
        if result_file(out / "results", arm, seed).exists():
            continue
        print(f"[{place}/{len(todo)}] {arm}, seed {seed}", flush=True)
        folder = work / f"seed{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        code = run(arm, Replicate(setting, seed, folder.resolve()), out / "results")
        if code:
            return code
    print(write_page(out, setting))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
