"""Streams under load: many at once on one model, and one that never ends."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.streaming import StreamOutput, start_stream, step

from .stream_toys import Window, build, run, same, video


def test_streams_in_threads_do_not_mix() -> None:
    """Eight threads on one model; one is fed NaN, one is closed midway."""
    stpn = build()
    videos = [video(50, seed) for seed in range(8)]
    videos[2] = [torch.full_like(frame, torch.nan) for frame in videos[2]]
    videos[5] = videos[5][:25]
    serial = [run(stpn, frames, start_stream(Window())) for frames in videos]
    results: list[list[StreamOutput]] = [[] for _ in videos]

    def worker(i: int) -> None:
        results[i] = run(stpn, videos[i], start_stream(Window()))

    threads = [threading.Thread(target=worker, args=(i,)) for i in range(len(videos))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clean = [i for i in range(8) if i != 2]
    assert all(same(results[i], serial[i]) for i in clean)
    assert all(torch.isfinite(o.features.maps[0]).all() for i in clean for o in results[i])
    assert len(results[2]) == 50
    assert results[2][20].features.maps[0].isnan().all()
    # Streams that share a state would be seen: this is what mixing two videos looks like.
    assert not same(
        results[0], run(stpn, [*videos[0][:40], *videos[1][40:]], start_stream(Window()))
    )


def _resources() -> tuple[float, int, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    kib = pages * os.sysconf("SC_PAGE_SIZE") / 1024
    return kib, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def _growth(frames: Iterator[Any], count: int, warm_up: int) -> tuple[float, int, int]:
    """KiB per frame (least squares over samples every 200 frames), new descriptors, new threads."""
    samples = []
    for i in range(count):
        next(frames)
        if i >= warm_up and i % 200 == 0:
            samples.append((i, *_resources()))
    x = torch.tensor([s[0] for s in samples], dtype=torch.float64)
    y = torch.tensor([s[1] for s in samples], dtype=torch.float64)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return slope.item(), samples[-1][2] - samples[0][2], samples[-1][3] - samples[0][3]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to measure memory")
def test_memory_is_flat_over_ten_thousand_frames() -> None:
    stpn = build(depth=1)
    leaked: list[mmap.mmap] = []

    def endless(leak: bool) -> Iterator[None]:
        frames, state = video(8, size=64), start_stream(Window(2, 8))
        while True:
            for frame in frames:
                _, state = step(stpn, state, frame)
                if leak:
                    # Pages straight from the kernel: the heap may have as much lying free.
                    leaked.append(mmap.mmap(-1, 32768))
                    leaked[-1].write(b"\1" * 32768)
                yield

    slope, descriptors, threads = _growth(endless(leak=False), 10_000, warm_up=1_000)
    assert slope <= 0.5
    assert (descriptors, threads) == (0, 0)
    leaking, _, _ = _growth(endless(leak=True), 2_000, warm_up=400)
    assert leaking > 16
