"""A source of clips that needs no files and can fail on command. Imported by worker processes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import numpy as np
import torch

from stpn_data.batch import Clip, collate
from stpn_data.errors import DataError


@dataclass
class FaultySource:
    """`n` random clips; loading position `at` in epoch 0 does `fault`."""

    n: int = 64
    fault: str = ""
    at: int = -1
    collate = staticmethod(collate)

    def __len__(self) -> int:
        return self.n

    @property
    def groups(self) -> np.ndarray:
        return np.arange(self.n) % 3 // 2

    def name(self, position: int, epoch: int = 0) -> str:
        return f"clip-{position}"

    def __getitem__(self, at: tuple[int, int]) -> Clip:
        if at == (0, self.at):
            fail(self.fault)
        rng = np.random.default_rng(at)
        height, width = (30, 60) if self.groups[at[1]] else (60, 30)
        boxes = int(rng.integers(3))
        return Clip(
            frame=torch.from_numpy(rng.integers(0, 256, (3, height, width), np.uint8)),
            support=torch.from_numpy(rng.integers(0, 256, (2, 3, height, width), np.uint8)),
            valid=torch.tensor([True, False]),
            boxes=torch.from_numpy(rng.random((boxes, 4), np.float32)),
            labels=torch.from_numpy(rng.integers(0, 9, boxes)),
            tracks=torch.from_numpy(rng.integers(0, 9, boxes)),
            support_labels=torch.from_numpy(rng.integers(0, 9, 2)),
            name=self.name(at[1]),
            index=at[1],
            original_size=(height, width),
            scale=(1.0, 1.0),
            skipped=(f"before {at[1]}",) if at[1] == 3 else (),
        )


def fail(fault: str) -> None:
    match fault:
        case "SIGKILL" | "SIGSEGV" | "SIGSTOP":
            os.kill(os.getpid(), signal.Signals[fault])
        case "exit":
            os._exit(0)
        case "exception":
            raise ZeroDivisionError("a bug in the data code")
        case "bad input":
            raise DataError("000007.jpg is damaged")
        case "sleep":
            time.sleep(1000)
