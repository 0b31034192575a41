from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
import torch

from stpn_core.errors import MemoryExhausted
from stpn_core.runs import RunDir, load_checkpoint, save_checkpoint
from stpn_core.training import memory_errors, peak_memory

from .faults import fork, wait

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
    ],
)
def test_exhaustion_is_named_with_what_was_asked_for(error: Exception) -> None:
    asked = memory_errors(size=(608, 1024), support=14, batch=2)
    with pytest.raises(MemoryExhausted, match=r"608x1024.*K=14.*batch 2") as failure, asked:
        raise error
    assert failure.value.exit_code == 4
    assert failure.value.__cause__ is error


def test_other_errors_pass() -> None:
    with (
        pytest.raises(RuntimeError, match="shapes"),
        memory_errors(size=(1, 1), support=0, batch=1),
    ):
        raise RuntimeError("shapes do not match")


def test_a_frame_that_does_not_fit_exits_4_and_the_checkpoint_is_intact(tmp_path: Path) -> None:
    """Under a real limit on address space, as on a machine that is too small."""

    def child() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), resource.RLIM_INFINITY))
        with (
            RunDir(tmp_path / "run") as run,
            memory_errors(size=(40_000, 40_000), support=0, batch=1),
        ):
            save_checkpoint(run, 1, {"x": torch.ones(3)})
            torch.zeros(1, 3, 40_000, 40_000)

    assert wait(fork(child, tmp_path / "errors.txt")) == 4
    assert "40000x40000" in (tmp_path / "errors.txt").read_text()
    assert load_checkpoint(RunDir(tmp_path / "run"), "auto").step == 1


def test_the_peak_is_in_bytes() -> None:
    before = peak_memory()
    assert 50 << 20 < before < 1 << 40
    block = torch.ones(1 << 26)  # 256 MiB, so the peak is at least what was used before and this
    assert peak_memory() >= before
    assert peak_memory() >= block.nbytes
