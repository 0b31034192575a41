"""Ranks for tests, forked under the agent that torchrun runs them under: no import of torch for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from stpn_core.testing.children import fork


def launch(out: Path, work: Callable[[], int | None], ranks: int = 2) -> int:
    """Pid of an agent whose ranks each do `work`; it exits with 0 if all of them return 0."""

    def rank() -> None:
        torch.set_num_threads(1)
        code = work() or 0
        if code:
            os._exit(code)

    def agent() -> int:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=ranks,
            run_id=out.name,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            monitor_interval=0.1,
            start_method="fork",
        )
        try:
            elastic_launch(config, rank)()
        except ChildFailedError:
            return 1
        return 0

    return fork(agent, out.with_suffix(".txt"))
