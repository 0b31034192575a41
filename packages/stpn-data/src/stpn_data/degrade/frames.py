"""Frames in, frames out: uint8 (T,3,H,W) or (3,H,W), torch or numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    FramesT = TypeVar("FramesT", Tensor, NDArray[np.uint8])
else:
    FramesT = TypeVar("FramesT")

Clip = NDArray[np.uint8]  # (T,3,H,W)


def as_clip(frames: Any) -> Clip:
    """Frames as a numpy array (T,3,H,W) that shares their memory; a single frame has T = 1.

    Raises DataError for another dtype, another shape, or a tensor that is not on the CPU.
    """
    if not isinstance(frames, np.ndarray):
        device = getattr(frames, "device", None)
        if device is None or device.type != "cpu":
            raise DataError(
                f"degradations take numpy arrays or tensors on the CPU, not {type(frames).__name__}"
                f"{'' if device is None else f' on {device}'}; move the frames with .cpu() first"
            )
        frames = frames.numpy()
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or frames.shape[-3] != 3:
        raise DataError(
            "degradations take uint8 frames of shape (T,3,H,W) or (3,H,W), "
            f"not {frames.dtype} {tuple(frames.shape)}"
        )
    return frames if frames.ndim == 4 else frames[None]


def like(clip: Clip, frames: FramesT) -> FramesT:
    """`clip` (T,3,H,W) in the shape and the library of `frames`."""
    shaped = np.ascontiguousarray(clip.reshape(frames.shape))
    if isinstance(frames, np.ndarray):
        return shaped
    import torch

    return torch.from_numpy(shaped)


def unchanged(frames: FramesT) -> FramesT:
    """A copy: what a caller does to the result never reaches the frames that came in."""
    return frames.copy() if isinstance(frames, np.ndarray) else frames.clone()


def checked_severity(severity: float) -> float:
    """Raises DataError outside 0..1 and for NaN."""
    if not 0.0 <= severity <= 1.0:
        raise DataError(f"severity goes from 0 (untouched) to 1 (severe), not {severity}")
    return float(severity)


def to_uint8(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Round to the nearest level, clip to 0..255. `values` is overwritten."""
    np.rint(values, out=values)
    np.clip(values, 0.0, 255.0, out=values)
    return values.astype(np.uint8)
