"""A few short videos of a bright square that moves, as files and as an index, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from stpn_data.index import ABSENT, Video, VideoIndex, build_index

WIDTH, HEIGHT = 88, 72
SIDE = 16


def place(video: int, t: int) -> tuple[float, float, float, float]:
    """x, y, w, h of the square."""
    return (12.0 + 3 * t + 5 * video, 20.0 + 2 * t, SIDE, SIDE)


def paint(folder: Path, video: int, length: int, first: int = 1) -> list[str]:
    """Frames 00000001.png and so on; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for t in range(length):
        image = (
            np.random.default_rng([video, t]).integers(0, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        )
        x, y, w, h = map(int, place(video, t))
        image[y : y + h, x : x + w] = (250, 200 - 40 * video, 60)
        names.append(f"{first + t:08d}.png")
        Image.fromarray(image).save(folder / names[-1])
    return names


def videos(
    root: Path, lengths: tuple[int, ...], absent: dict[int, list[int]] | None = None
) -> VideoIndex:
    """An index of videos `v0`, `v1`, ...; absent: frames by video on which nothing is to be seen."""
    rows = []
    for video, length in enumerate(lengths):
        folder = root / f"v{video}"
        corners = np.array([place(video, t) for t in range(length)], np.float32)
        corners[:, 2:] += corners[:, :2]
        flags = np.zeros(length, np.uint8)
        flags[(absent or {}).get(video, [])] = ABSENT
        rows.append(
            Video(
                f"v{video}",
                str(folder),
                paint(folder, video, length),
                box_counts=np.ones(length, np.int64),
                boxes=corners,
                labels=np.full(length, video % 2, np.int16),
                tracks=np.zeros(length, np.int32),
                flags=flags,
            )
        )
    return build_index(root, ("round", "square"), f"squares in {root}", rows)


def got10k_tree(root: Path, split: str, lengths: tuple[int, ...], *, labels: bool = True) -> Path:
    """A split of GOT-10k; without labels as the test split: the first box alone."""
    names = [f"GOT-10k_{split.capitalize()}_{video + 1:06d}" for video in range(len(lengths))]
    for video, (name, length) in enumerate(zip(names, lengths, strict=True)):
        folder = root / split / name
        paint(folder, video, length)
        rows = [",".join(f"{v:.4f}" for v in place(video, t)) for t in range(length)]
        (folder / "groundtruth.txt").write_text("\n".join(rows if labels else rows[:1]) + "\n")
        (folder / "meta_info.ini").write_text(
            f"[METAINFO]\nobject_class: square {video}\nresolution: ({WIDTH}, {HEIGHT})\n"
        )
        if labels:
            for label, value in (("absence", 0), ("cover", 8), ("cut_by_image", 0)):
                (folder / f"{label}.label").write_text(f"{value}\n" * length)
    (root / split / "list.txt").write_text("\n".join(names) + "\n")
    return root
