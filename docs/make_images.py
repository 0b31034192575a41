"""Draws the pictures of docs/synthetic-data.md, docs/instance-masks.md and docs/tracking-data.md:
`python docs/make_images.py` writes docs/images/.

They are made by the project itself, so anyone can make them again; they change only when the drawing
of synthetic data does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stpn_data.degrade import KINDS
from stpn_data.synthesize import Arguments
from stpn_data.synthesize.instances import draw_instances
from stpn_data.synthesize.pattern import PATTERNS
from stpn_data.synthesize.render import Frame, render
from stpn_data.synthesize.scene import Scene, draw_scene
from stpn_data.synthesize.schedule import CLEAN, Spoil
from stpn_data.synthesize.targets import draw_targets

SIDE, GAP, MARGIN = 144, 4, 20
QUALITY = 88  # of the JPEG files
MASKS = ((230, 60, 60), (60, 190, 80), (70, 110, 240))
INK, PAPER, BOX = (40, 40, 40), (255, 255, 255), (90, 255, 110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path(__file__).parent / "images")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, picture in {
        "synthetic.jpg": contact_sheet(),
        "degradations.jpg": ladder(),
        "classes.jpg": matched_set(),
        "instances.jpg": instances(),
        "targets.jpg": targets(),
    }.items():
        path = out / name
        picture.save(path, quality=QUALITY, subsampling="4:4:4", optimize=True)
        print(f"{path}: {picture.width}x{picture.height}, {path.stat().st_size // 1000} kB")


def contact_sheet() -> Image.Image:
    """One video: frames in order of time with their boxes, clean and spoiled."""
    arguments = Arguments(frames=14, size=(SIDE, SIDE), objects=(2, 2), speeds=("fast",), seed=46)
    scene = draw_scene(arguments, 0, 0)
    frames = list(render(scene, ("zigzag", "zigzag"), SIDE, SIDE))
    cells = [annotated(frame) for frame in frames]
    captions = [caption(frame.spoil) for frame in frames]
    return table([cells[:7], cells[7:]], [captions[:7], captions[7:]])


def ladder() -> Image.Image:
    """Each kind of degradation from severity 0 to 1."""
    severities = (0.0, 0.25, 0.5, 0.75, 1.0)
    scene = plain_scene(seed=21, speed="medium")
    rows = [[spoiled(scene, kind, s, "checks") for s in severities] for kind in KINDS]
    captions = [[f"{kind} {severity:.2f}" for severity in severities] for kind in KINDS]
    return table(rows, captions)


def matched_set() -> Image.Image:
    """One scene with each class, clean and at severity 1."""
    scene = plain_scene(seed=33, speed="fast")
    kinds = (CLEAN, "blur", "defocus", "occlusion")
    rows = [
        [spoiled(scene, kind, float(kind != CLEAN), name) for name in PATTERNS] for kind in kinds
    ]
    captions = [[f"{name}, {kind}" for name in PATTERNS] for kind in kinds]
    return table(rows, captions)


def instances() -> Image.Image:
    """One video of three look-alikes: every second frame, and below it the masks of what is seen."""
    arguments = Arguments(
        layout="youtube_vis",
        frames=14,
        size=(SIDE, SIDE),
        objects=(3, 3),
        look_alikes=1.0,
        speeds=("fast",),
        seed=3,
    )
    scene = draw_instances(arguments, 0, 0)
    frames = list(render(scene, ("dots",) * 3, SIDE, SIDE))[::2]
    captions = [caption(frame.spoil) for frame in frames]
    cells = [[picture(frame.image) for frame in frames], [masked(frame) for frame in frames]]
    return table(cells, [captions, [""] * len(captions)])


def targets() -> Image.Image:
    """One target among look-alikes: every third frame with its box, where it is in the frame."""
    arguments = Arguments(
        layout="got10k",
        frames=42,
        size=(SIDE, SIDE),
        objects=(3, 3),
        look_alikes=1.0,
        kinds=("blur", "defocus", "occlusion", "noise", "low_light"),
        speeds=("fast",),
        seed=3,
    )
    scene = draw_targets(arguments, 0, 0)
    classes = arguments.classes
    labels = tuple(classes[(scene.order[0] + offset) % len(classes)] for offset in scene.offsets)
    frames = list(render(scene, labels, SIDE, SIDE))[::3]
    cells = [
        annotated(replace(frame, boxes=frame.boxes[: int(frame.outlines[0].any())]))
        for frame in frames
    ]
    captions = [caption(frame.spoil) for frame in frames]
    return table([cells[:7], cells[7:]], [captions[:7], captions[7:]])


def masked(frame: Frame) -> Image.Image:
    image = frame.image.astype(float)
    for mask, colour in zip(frame.visible, MASKS, strict=True):
        image[:, mask] = 0.4 * image[:, mask] + 0.6 * np.array(colour)[:, None]
    return picture(image.astype(np.uint8))


def plain_scene(seed: int, speed: str) -> Scene:
    arguments = Arguments(frames=3, size=(SIDE, SIDE), speeds=(speed,), seed=seed)
    return draw_scene(arguments, 0, 0)


def spoiled(scene: Scene, kind: str, severity: float, label: str) -> Image.Image:
    """The middle frame of a scene of three."""
    scene = replace(scene, schedule=[Spoil(kind, severity, 0)] * 3)
    return picture(list(render(scene, (label,), SIDE, SIDE))[1].image)


def annotated(frame: Frame) -> Image.Image:
    image = picture(frame.image)
    draw = ImageDraw.Draw(image)
    for x1, y1, x2, y2 in frame.boxes.tolist():
        draw.rectangle((x1, y1, x2, y2), outline=BOX)
    return image


def caption(spoil: Spoil) -> str:
    return spoil.kind if spoil.kind == CLEAN else f"{spoil.kind} {spoil.severity:.2f}"


def picture(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image.transpose(1, 2, 0))


def table(rows: Sequence[Sequence[Image.Image]], captions: Sequence[Sequence[str]]) -> Image.Image:
    step = SIDE + GAP
    sheet = Image.new("RGB", (step * len(rows[0]) - GAP, (step + MARGIN) * len(rows) - GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    for r, (row, names) in enumerate(zip(rows, captions, strict=True)):
        for c, (cell, name) in enumerate(zip(row, names, strict=True)):
            x, y = c * step, r * (step + MARGIN)
            draw.text((x + 2, y + 3), name, fill=INK, font=font(13))
            sheet.paste(cell, (x, y + MARGIN))
    return sheet


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main()
