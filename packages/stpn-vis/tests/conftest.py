"""A few painted videos, a recipe that trains on them in seconds, and a segmenter it made."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tqdm import tqdm

from stpn_vis.config import Recipe
from stpn_vis.model_file import TrainedSegmenter, load_trained
from stpn_vis.recipes import synthetic

SIZE = (64, 48)  # width, height
CLASSES = ("disc", "square")


@pytest.fixture(scope="session", autouse=True)
def _quiet_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One thread, which bits do not depend on; no cache of earlier sessions; progress bars that
    share nothing with forked children."""
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0
    tqdm.set_lock(threading.RLock())
    before = os.environ.get("STPN_CACHE")
    os.environ["STPN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("STPN_CACHE")
    if before is not None:
        os.environ["STPN_CACHE"] = before


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """YouTube-VIS layout: training videos of 6, 5, 6 and 1 frames, validation videos of 4 and 1.

    Each has a disc and a square of 64x48 pixels' scale that move; in frame 2 the disc is gone, in
    frame 3 of the first video there is nothing at all.
    """
    root = tmp_path_factory.mktemp("data") / "painted"
    for split, lengths in (("train", (6, 5, 6, 1)), ("valid", (4, 1))):
        paint(root, split, lengths)
    return root


def paint(root: Path, split: str, lengths: tuple[int, ...]) -> None:
    """Write `split` of a data set whose videos have so many frames."""
    rng = np.random.default_rng([len(lengths), *lengths])
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, length in enumerate(lengths, start=1):
        names = [f"v{number}/{t:05d}.jpg" for t in range(length)]
        videos.append(
            {"id": number, "width": SIZE[0], "height": SIZE[1], "length": length}
            | {"file_names": names}
        )
        starts, speeds = rng.uniform(10, 30, (2, 2)), rng.uniform(-2, 2, (2, 2))
        gone = [{2}, set()]
        if number == 1:
            gone = [{2, 3}, {3}]
        shapes = [
            [None if t in gone[k] else shape(k, starts[k] + t * speeds[k]) for t in range(length)]
            for k in range(2)
        ]
        for t, name in enumerate(names):
            frame = rng.integers(60, 90, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
            for k, colour in enumerate(((220, 60, 60), (60, 60, 220))):
                mask = shapes[k][t]
                if mask is not None:
                    frame[mask] = colour
            path = root / split / "JPEGImages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame).save(path, quality=95)
        for k in range(2):
            annotations.append(
                {"id": len(annotations) + 1, "video_id": number, "category_id": k + 1, "iscrowd": 0}
                | {name: [value(m) for m in shapes[k]] for name, value in COLUMNS.items()}
            )
    content = {
        "videos": videos,
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CLASSES)],
    }
    (root / f"{split}.json").write_text(json.dumps(content))


def shape(kind: int, place: np.ndarray) -> np.ndarray:
    """A disc or a square of radius 8 around `place` (x, y), as a mask."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    dx, dy = np.abs(x - place[0]), np.abs(y - place[1])
    return (np.hypot(dx, dy) if kind == 0 else np.maximum(dx, dy)) < 8


def _rle(mask: np.ndarray | None) -> dict[str, Any] | None:
    if mask is None:
        return None
    flat = mask.T.ravel().astype(np.int8)
    turns = np.flatnonzero(np.diff(flat, prepend=0))
    counts = np.diff([0, *turns, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": counts}


def _box(mask: np.ndarray | None) -> list[int] | None:
    if mask is None:
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(n) for n in (columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1)]


COLUMNS = {
    "segmentations": _rle,
    "bboxes": _box,
    "areas": lambda mask: None if mask is None else int(mask.sum()),
}


def tiny_recipe(data: Path | str, *, steps: int = 4, **optim: object) -> Recipe:
    """Some thousand weights; not meant to learn anything."""
    recipe = synthetic()
    return dataclasses.replace(
        recipe,
        model=dataclasses.replace(
            recipe.model,
            arch={"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)},
            drop_path=0.1,  # so that training draws random numbers
            predictor_options={"num_heads": 2},
            deep=False,
            num_prompts=2,
            num_queries=5,
            hidden=32,
            mask_dim=16,
            heads=2,
            pixel_layers=1,
            pixel_ffn=16,
            decoder_layers=2,
            decoder_ffn=16,
            points=32,
        ),
        data=dataclasses.replace(
            recipe.data, root=str(data), val_split="valid", short_sides=(32, 48), long_side=64
        ),
        optim=dataclasses.replace(recipe.optim, steps=steps, batch_size=2, warmup_steps=2, **optim),
        eval=dataclasses.replace(
            recipe.eval, policy="window", short_side=48, long_side=64, batch_size=3, stride=1,
            count=2,
        ),
        run=dataclasses.replace(recipe.run, save_every=2, log_every=1, device="cpu"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def trained(painted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of `tiny_recipe`, finished; not to be changed."""
    from stpn_vis.train import train

    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert train(tiny_recipe(painted), out) == 0
    return out


@pytest.fixture(scope="session")
def segmenter(trained: Path) -> TrainedSegmenter:
    """What `trained` made."""
    return load_trained(trained)
