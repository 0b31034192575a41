"""Pictures for a page: heat over a frame, rows of small frames, data for HTML.

Needs Pillow and matplotlib (extra `explain`).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

STRENGTH = 0.7  # how much the hottest colour covers


def heat_over(image: Tensor, heat: Tensor, covers: tuple[int, int]) -> Tensor:
    """uint8 (3, h, w) with `heat` (cells, from 0 to 1) laid over it; cold cells stay as they are.

    covers: height and width in pixels of the image that the cells stand for, h, w at least.
    """
    size = (image.shape[1], image.shape[2])
    fine = F.interpolate(heat[None, None].float(), covers, mode="bilinear", align_corners=False)
    fine = fine[0, 0, : size[0], : size[1]].clamp(0, 1)
    table = torch.tensor(matplotlib.colormaps["inferno"].colors) * 255  # type: ignore[attr-defined]
    colours = table[(fine * (len(table) - 1)).round().long()].permute(2, 0, 1)
    return (image + (colours - image) * STRENGTH * fine.sqrt()).round().clamp(0, 255).byte()


def scaled(image: Tensor, height: int) -> Tensor:
    """uint8 (3, h, w) at `height` pixels, ratio kept."""
    factor = height / image.shape[1]
    size = (height, max(1, round(image.shape[2] * factor)))
    shrinks = factor < 1
    large = F.interpolate(
        image[None].float(), size, mode="bilinear", antialias=shrinks, align_corners=False
    )
    return large[0].round().clamp(0, 255).byte()


def labelled(image: Tensor, text: str, height: int) -> Tensor:
    """The image at `height` with a few words in its corner."""
    page = Image.fromarray(scaled(image, height).permute(1, 2, 0).contiguous().numpy())
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(max(10, height // 10))
    _, _, right, bottom = pen.textbbox((2, 1), text, font=font)
    pen.rectangle((0, 0, right + 2, bottom + 2), fill=(255, 255, 255))
    pen.text((2, 1), text, fill=(0, 0, 0), font=font)
    return torch.from_numpy(np.asarray(page).copy()).permute(2, 0, 1)


def rows_of(pictures: Sequence[Sequence[Tensor]], gap: int = 3) -> Tensor:
    """Pictures (3, h, w) of one size, row by row, with white between them."""
    rows = [
        torch.cat([F.pad(picture, (0, gap, 0, gap), value=255) for picture in row], dim=2)
        for row in pictures
    ]
    width = max(row.shape[2] for row in rows)
    return torch.cat([F.pad(row, (0, width - row.shape[2]), value=255) for row in rows], dim=1)


def jpeg(image: Tensor) -> str:
    """uint8 (3, h, w) as a data address for `<img src>`."""
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(buffer, "JPEG", quality=88)
    return data_address(buffer.getvalue(), "jpeg")


def data_address(data: bytes, kind: str) -> str:
    """The bytes of a picture as a data address."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
