"""Ranks that torchrun started, and what they tell each other.

What crosses is tensors and plain values, read without running code. Every helper works with one
process, too, and raises WorkerDied when another rank does not answer in time.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stpn_core.errors import InputError, WorkerDied
from stpn_core.runs.plain_state import read_plain, write_plain

DEFAULT_TIMEOUT = 120.0
"""Seconds to wait for another rank; torch's own defaults are 30 minutes (gloo) and 10 (NCCL)."""

_SIGNS = ("gloo", "NCCL", "Connection closed by peer", "Connection reset", "Timed out waiting")


@dataclass(frozen=True)
class World:
    """This process among the others."""

    rank: int
    size: int
    local_rank: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def init_distributed(device: str | None = None, timeout: float = DEFAULT_TIMEOUT) -> World:
    """Join the other ranks as torchrun's environment says; alone without that environment.

    Args:
        device: "cpu" or "cuda"; None takes the GPU of this rank if there is one.
        timeout: seconds after which a missing rank is an error.

    Raises:
        InputError: the environment is incomplete, or there is no such GPU.
        WorkerDied: not all ranks came in time.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    found = [os.environ.get(name) for name in names]
    if found == [None, None, None]:
        rank, size, local_rank = 0, 1, 0
    else:
        try:
            rank, size, local_rank = (int(value or "") for value in found)
        except ValueError:
            told = ", ".join(f"{n}={v}" for n, v in zip(names, found, strict=True))
            raise InputError(f"torchrun's environment is incomplete: {told}") from None
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda":
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise InputError(f"local rank {local_rank} has no GPU: this machine has {count}")
        torch.cuda.set_device(local_rank)
    place = torch.device(kind, local_rank) if kind == "cuda" else torch.device(kind)
    if size > 1:
        backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
        with peer_errors():
            dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    return World(rank, size, local_rank, place)


def shut_down() -> None:
    """Leave the group, at a clean end only: after an error the process should just go."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_main() -> bool:
    """Whether this is rank 0, which alone writes and prints."""
    return not dist.is_initialized() or dist.get_rank() == 0


@contextmanager
def peer_errors() -> Iterator[None]:
    """Turn the failure of a collective inside (also in a DDP backward) into WorkerDied (exit 6)."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not isinstance(error, dist.DistError) and not any(sign in text for sign in _SIGNS):
            raise
        who = f"rank {dist.get_rank()}" if dist.is_initialized() else "this rank"
        raise WorkerDied(
            f"{who} lost another rank, which died, left or did not answer in time; its own output "
            f"says why. Resume from the last checkpoint ({text.splitlines()[0][:200]})"
        ) from error


def data_parallel(loss_of: nn.Module, world: World) -> nn.Module:
    """A module that maps a batch to losses, wrapped so that gradients are averaged over the ranks."""
    if world.size == 1:
        return loss_of
    devices = [world.device] if world.device.type == "cuda" else None
    # A prompt predictor has no part in the loss of a batch that comes without support.
    return DistributedDataParallel(loss_of, device_ids=devices, find_unused_parameters=True)


def any_rank(flags: Sequence[bool]) -> list[bool]:
    """For each flag, whether it is set on any rank. All ranks must call it, with as many flags."""
    if not dist.is_initialized():
        return list(flags)
    tensor = torch.tensor([int(flag) for flag in flags], dtype=torch.int32)
    with peer_errors():
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
    return [bool(flag) for flag in tensor.tolist()]


def barrier() -> None:
    """Wait until every rank is here, such as after rank 0 saved."""
    any_rank([False])


def mean_over_ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Mean of each value over the ranks, which must all give the same names."""
    names = sorted(values)
    if not dist.is_initialized():
        return {name: float(values[name]) for name in names}
    tensor = torch.tensor([float(values[name]) for name in names], dtype=torch.float64)
    with peer_errors():
        dist.all_reduce(tensor)
    return dict(zip(names, (tensor / dist.get_world_size()).tolist(), strict=True))


def gather_values(value: Any) -> list[Any]:
    """Every rank's `value`, in order of rank, on every rank.

    Values are tensors and plain values, nested (what a checkpoint may hold); tensors arrive on CPU.
    """
    if not dist.is_initialized():
        return [value]
    own = _encode(value)
    with peer_errors():
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
        dist.all_gather(sizes, torch.tensor([own.numel()]))
        room = max(int(size) for size in sizes)
        padded = torch.zeros(room, dtype=torch.uint8)
        padded[: own.numel()] = own
        parts = [torch.empty(room, dtype=torch.uint8) for _ in sizes]
        dist.all_gather(parts, padded)
    return [_decode(part[: int(size)]) for part, size in zip(parts, sizes, strict=True)]


def broadcast_value(value: Any) -> Any:
    """Rank 0's `value` on every rank, such as the checkpoint that it alone can read."""
    if not dist.is_initialized():
        return value
    payload = _encode(value) if is_main() else torch.empty(0, dtype=torch.uint8)
    size = torch.tensor([payload.numel()])
    with peer_errors():
        dist.broadcast(size, 0)
        if not is_main():
            payload = torch.empty(int(size), dtype=torch.uint8)
        dist.broadcast(payload, 0)
    return value if is_main() else _decode(payload)


def _encode(value: Any) -> Tensor:
    buffer = io.BytesIO()
    write_plain(value, buffer)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def _decode(payload: Tensor) -> Any:
    return read_plain(io.BytesIO(payload.numpy().tobytes()))
