"""Blur by a point-spread function, in the Fourier domain.

The cost does not depend on the length of the blur: one forward and one inverse transform per image.
A line (motion) and a Gaussian (shake, smoothing) have closed transforms, so their extent is
continuous; the disc (a defocused point of light) is drawn with a soft edge and transformed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]  # (...,H,W)


@dataclass(frozen=True)
class PointSpread:
    """Convolution of a line, a disc and a Gaussian. Lengths in pixels; 0 leaves a part out.

    `angle` is the direction of the line in radians, x to the right and y down.
    """

    line: float = 0.0
    angle: float = 0.0
    disc: float = 0.0
    sigma: float = 0.0

    @property
    def reach(self) -> int:
        """How far, in pixels, one point of light spreads."""
        return math.ceil(self.line / 2 + self.disc + 3 * self.sigma) + 1


def blur(
    images: Images, spread: PointSpread, edge: Literal["reflect", "constant"] = "reflect"
) -> Images:
    """Images (...,H,W) seen through `spread`; mean brightness is kept.

    Beyond the border the image is mirrored, or zero with `edge="constant"` (for a layer that is
    composited afterwards).
    """
    height, width = images.shape[-2:]
    pad = spread.reach
    rows, columns = _fast_length(height + 2 * pad), _fast_length(width + 2 * pad)
    margins = [(0, 0)] * (images.ndim - 2)
    margins += [(pad, rows - height - pad), (pad, columns - width - pad)]
    transfer = _transfer(spread, rows, columns)
    padded = np.pad(images, margins, mode=edge)
    spectrum = np.fft.rfft2(padded)
    spectrum *= transfer
    blurred = np.fft.irfft2(spectrum, s=(rows, columns))
    inside = blurred[..., pad : pad + height, pad : pad + width]
    return np.ascontiguousarray(inside, dtype=np.float32)


def _transfer(spread: PointSpread, rows: int, columns: int) -> NDArray[np.float32]:
    """Transfer function (rows, columns // 2 + 1) at the frequencies of `rfft2`."""
    fy = np.fft.fftfreq(rows).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(columns).astype(np.float32)[None, :]
    decay = -2 * (math.pi * spread.sigma) ** 2
    transfer = np.exp(decay * fy**2) * np.exp(decay * fx**2)
    if spread.line > 0:
        along = math.cos(spread.angle) * fx + math.sin(spread.angle) * fy
        transfer *= np.sinc(np.float32(spread.line) * along)
    if spread.disc > 0:
        y = np.fft.fftfreq(rows, 1 / rows).astype(np.float32)[:, None]
        x = np.fft.fftfreq(columns, 1 / columns).astype(np.float32)[None, :]
        disc = np.clip(np.float32(spread.disc + 0.5) - np.hypot(x, y), 0.0, 1.0)
        # symmetric about the origin, so its transform is real
        transfer *= np.fft.rfft2(disc / disc.sum()).real
    return transfer.astype(np.float32)


def _fast_length(n: int) -> int:
    """The smallest length from `n` on whose only prime factors are 2, 3 and 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
