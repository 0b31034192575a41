"""What each rank does in the tests of distributed helpers; also runnable under torchrun."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from stpn_core.errors import StpnError
from stpn_core.training import (
    any_rank,
    barrier,
    broadcast_value,
    gather_values,
    init_distributed,
    is_main,
    mean_over_ranks,
    peer_errors,
    shut_down,
)

STEPS, FAULT_AT = 30, 10


def exchange(rank: int) -> None:
    """Every helper gives what it promises, on every rank."""
    assert is_main() == (rank == 0)
    assert any_rank([rank == 1, False, True]) == [True, False, True]
    assert mean_over_ranks({"b": rank * 2.0, "a": 1.0}) == {"a": 1.0, "b": 1.0}
    gathered = gather_values({"rank": rank, "x": torch.arange(rank * 5)})
    assert [g["rank"] for g in gathered] == [0, 1]
    assert [g["x"].tolist() for g in gathered] == [[], [0, 1, 2, 3, 4]]
    told = broadcast_value([torch.ones(2), "text"] if rank == 0 else None)
    assert told[0].tolist() == [1, 1]
    assert told[1] == "text"
    barrier()


def break_down(fault: str) -> None:
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif fault == "leave":
        os._exit(0)
    elif fault == "stuck":
        time.sleep(1000)
    elif fault == "raise":
        raise ValueError("a fault in rank 1")


def train(rank: int, fault: str) -> None:
    with peer_errors():
        model = DistributedDataParallel(nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for step in range(STEPS):
        spoilt = rank == 1 and step == FAULT_AT
        if spoilt:
            break_down(fault)
        with peer_errors():
            model(torch.randn(8, 4)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        if not (spoilt and fault == "skip"):
            any_rank([False])
        time.sleep(0.005)


def work(out: str, fault: str, timeout: float) -> None:
    """Trains for a moment; rank 1 has the fault. Ranks note how they end in `out`."""
    torch.set_num_threads(1)
    world = init_distributed("cpu", timeout=timeout)
    notes = Path(out) / f"rank{world.rank}.txt"
    try:
        if fault == "none":
            exchange(world.rank)
        train(world.rank, fault)
        barrier()
        shut_down()
    except StpnError as error:
        notes.write_text(f"{error.exit_code} {error}")
        os._exit(error.exit_code)
    notes.write_text("done")


if __name__ == "__main__":  # under torchrun: only what needs no further imports
    me = init_distributed("cpu", timeout=20)
    barrier()
    if me.rank == 1:
        break_down(sys.argv[1])
    barrier()
