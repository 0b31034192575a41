"""Memory: how much was used, and an error that says what did not fit."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from stpn_core.errors import MemoryExhausted

_CPU_SIGNS = ("DefaultCPUAllocator", "not enough memory", "bad_alloc", "Cannot allocate memory")
_CUDA_SIGNS = ("CUDA out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")


def peak_memory(device: torch.device | str = "cpu") -> int:
    """Bytes: the most that tensors took on a GPU, or this process of the host's memory."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def memory_errors(*, size: tuple[int, int], support: int, batch: int) -> Iterator[None]:
    """Turn any out-of-memory error inside into MemoryExhausted that names what was asked for.

    Args:
        size: height and width in pixels of the padded frames. `support`: frames per clip (K).
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_exhaustion(error):
            raise
        where = "GPU" if _is_gpu(error) else "host"
        raise MemoryExhausted(
            f"out of {where} memory with frames of {size[0]}x{size[1]} (height x width), "
            f"K={support} support frames, batch {batch}: reduce one of them, or use gradient "
            "checkpointing or bf16. Nothing was reduced for you; the last checkpoint is intact"
        ) from error


def _is_gpu(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(s in str(error) for s in _CUDA_SIGNS)


def _is_exhaustion(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError)
        or _is_gpu(error)
        or any(sign in str(error) for sign in _CPU_SIGNS)
    )
