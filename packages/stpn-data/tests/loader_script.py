"""A stand-in for a trainer, run as a process: `loader_script.py MODE START_METHOD`.

MODE "stop": runs until SIGTERM, then takes five more batches and leaves with 143.
MODE "unblocked": the same with workers that SIGTERM can reach; the control.
MODE "stuck": waits for a worker that sleeps.
Prints the ids of its workers once the first batch is there.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys

from clip_sources import FaultySource

from stpn_data import workers
from stpn_data.errors import WorkerDied
from stpn_data.loader import training_loader


def main(mode: str, start_method: str) -> int:
    workers.PRELOAD = "stpn_data.workers"
    if mode == "unblocked":
        workers._signals_blocked = contextlib.nullcontext
    source = FaultySource(fault="sleep" if mode == "stuck" else "")
    order = training_loader(source, 4, workers=0).order
    source.at = order.batch(1)[0][1]
    stop: list[int] = []
    with training_loader(source, 4, workers=2, start_method=start_method, timeout=500) as loader:
        signal.signal(signal.SIGTERM, lambda number, frame: stop.append(number))
        next(loader)
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        try:
            while not stop:
                next(loader)
            for _ in range(5):
                next(loader)
        except WorkerDied as error:
            return error.exit_code
    return 128 + stop[0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
