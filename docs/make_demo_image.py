"""Make docs/images/demo.png from a finished demo: `python docs/make_demo_image.py DEMO`.

Rows are the frame nearest to severity 0.75 of some validation videos; columns are
the annotation, the single-frame twin and STPN.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from PIL import Image

from stpn_core.settings import from_json
from stpn_vod.config import Recipe
from stpn_vod.demo import evaluate_arms
from stpn_vod.demo.clip import annotated
from stpn_vod.demo.report import example_frames, truth_of

ROWS = 4


def main(demo: Path, out: Path) -> None:
    recipe = from_json(Recipe, (demo / "stpn" / "config.json").read_text())
    arms = evaluate_arms(recipe, demo)
    rows = [
        torch.cat([annotated(arm, frame) for arm in (truth_of(arms[0]), arms[0], arms[1])], dim=2)
        for frame in example_frames(arms[0], ROWS)
    ]
    picture = torch.cat(rows, dim=1).permute(1, 2, 0).numpy()
    Image.fromarray(picture).save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "images" / "demo.png")
