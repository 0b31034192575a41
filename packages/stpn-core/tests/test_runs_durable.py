"""No fault while saving loses what was saved before."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.errors import InputError, StpnError
from stpn_core.runs import RunDir, load_checkpoint, replace_file, save_checkpoint, unfinished_file
from stpn_core.runs.durable import temporary_names

from .faults import failing, fork, wait

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

HOW = ("die", "ENOSPC", "EIO")
LAYERS = 9


def state(step: int) -> dict[str, Any]:
    return {f"layer{i}": torch.full((64,), float(step)) for i in range(LAYERS)}


def write_more(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"m" * 100)
    os.close(fd)


def survivor(run: RunDir) -> int | None:
    """Step of the checkpoint that resuming would find, if it holds what that step saved."""
    try:
        found = load_checkpoint(run, "auto")
    except StpnError:
        return None
    whole = all(torch.equal(found.state[k], v) for k, v in state(found.step).items())
    return found.step if whole else None


def test_every_fault_at_every_step_of_a_save_loses_nothing(tmp_path: Path) -> None:
    with RunDir(tmp_path / "template") as run:
        save_checkpoint(run, 1, state(1))

    def attempt(out: Path, call: int, how: str) -> int:
        """Save step 2 over step 1 with one fault; returns the number of calls made."""
        with RunDir(out) as run, failing(call, how) as made:
            save_checkpoint(run, 2, state(2), files={"more.bin": write_more}, keep=1)
        return len(made)

    shutil.copytree(tmp_path / "template", tmp_path / "count")
    calls = attempt(tmp_path / "count", -1, "none")
    faults = [(call, how) for call in range(calls) for how in HOW]
    assert len(faults) >= 230
    survivors = []
    for number, (call, how) in enumerate(faults):
        out = tmp_path / f"{call}-{how}"
        shutil.copytree(tmp_path / "template", out)
        if how == "die":
            assert wait(fork(lambda o=out, c=call: attempt(o, c, "die"))) == -9
        else:
            with pytest.raises(StpnError) as failure:
                attempt(out, call, how)
            assert failure.value.exit_code == 2
        survivors.append(survivor(RunDir(out)))
        with RunDir(out) as run:  # and the next run cleans up and carries on
            assert not list(temporary_names(run.checkpoints))
            if number % 10 == 0:
                save_checkpoint(run, 3, state(3))
                assert survivor(run) == 3
    assert None not in survivors
    assert {1, 2} == set(survivors)  # faults fell on both sides of the commit


def test_control_saving_in_place_loses_nearly_always(tmp_path: Path) -> None:
    """The same faults against a plain save over the last file: the harness does break things."""

    class Plain:
        def __init__(self, path: Path) -> None:
            self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

        def write(self, data: bytes) -> int:
            return os.write(self.fd, data)

        def flush(self) -> None:
            os.fsync(self.fd)

    path = tmp_path / "last.pt"

    def save() -> None:
        torch.save(state(2), Plain(path))  # type: ignore[arg-type]

    with failing(-1, "die") as made:
        save()
    tried = range(0, len(made), 3)
    lost = 0
    for call in tried:
        torch.save(state(1), path)

        def child(call: int = call) -> None:
            with failing(call, "die"):
                save()

        assert wait(fork(child)) == -9
        try:
            torch.load(path, weights_only=True)
        except Exception:
            lost += 1
    assert len(tried) > 20
    assert lost >= 0.9 * len(tried)


@pytest.mark.parametrize("call", range(4))
@pytest.mark.parametrize("how", HOW)
def test_a_small_file_is_the_old_or_the_new_one(tmp_path: Path, call: int, how: str) -> None:
    path = tmp_path / "best.json"
    path.write_bytes(b"old")

    def child() -> None:
        with failing(call, how):
            replace_file(path, b"the new one")

    assert wait(fork(child)) == (-9 if how == "die" else 2)
    assert path.read_bytes() in (b"old", b"the new one")
    if how != "die":
        assert not list(temporary_names(tmp_path))


def trace_of_save(run: RunDir) -> list[tuple[str, str]]:
    """(call, path) in order for the calls that decide what survives a loss of power."""
    real = {name: getattr(os, name) for name in ("write", "fsync", "rename")}
    trace: list[tuple[str, str]] = []

    def of_fd(name: str) -> Callable[..., Any]:
        def wrapped(fd: int, *args: Any) -> Any:
            trace.append((name, os.readlink(f"/proc/self/fd/{fd}")))
            return real[name](fd, *args)

        return wrapped

    def rename(source: Path, target: Path) -> None:
        trace.append(("rename", f"{source} {target}"))
        real["rename"](source, target)

    os.write, os.fsync, os.rename = of_fd("write"), of_fd("fsync"), rename  # type: ignore[assignment]
    try:
        save_checkpoint(run, 2, state(2), files={"more.bin": write_more}, keep=1)
    finally:
        os.write, os.fsync, os.rename = real["write"], real["fsync"], real["rename"]
    return trace


def unsafe(trace: list[tuple[str, str]], checkpoints: Path) -> list[str]:
    """What a loss of power could undo: data or names not on the disk when others rely on them."""
    renames = [i for i, (call, _) in enumerate(trace) if call == "rename"]
    commit, removal = renames[0], renames[1]
    staged = trace[commit][1].split()[0]
    faults = []
    for path in {path for call, path in trace[:commit] if call == "write"}:
        last = max(i for i, entry in enumerate(trace) if entry == ("write", path))
        if ("fsync", path) not in trace[last:commit]:
            faults.append(f"{path} renamed before its data were on the disk")
    if ("fsync", staged) not in trace[:commit]:
        faults.append("directory renamed before its names were on the disk")
    if ("fsync", str(checkpoints)) not in trace[commit:removal]:
        faults.append("old checkpoint deleted before the new name was on the disk")
    return faults


def test_data_reach_the_disk_before_the_names_that_promise_them(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        save_checkpoint(run, 1, state(1))
        trace = trace_of_save(run)
    assert unsafe(trace, run.checkpoints) == []
    # Control: leave out any one fsync and the check must notice.
    syncs = [i for i, (call, _) in enumerate(trace) if call == "fsync"]
    assert len(syncs) == 5
    for i in syncs:
        assert unsafe(trace[:i] + trace[i + 1 :], run.checkpoints)


def test_a_limit_on_file_size_is_a_clean_failure(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:
        save_checkpoint(run, 1, state(1))

    def child() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        with RunDir(tmp_path) as run, pytest.raises(StpnError, match="earlier checkpoints"):
            save_checkpoint(run, 2, state(2))
        return 0

    assert wait(fork(child)) == 0
    assert survivor(RunDir(tmp_path)) == 1


def test_a_full_disk_is_a_clean_failure(tmp_path: Path) -> None:
    """A real file system that fills up: a tmpfs of 64 KiB in a mount namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_user, new_mounts, size = 0x10000000, 0x00020000, 1 << 16
    unsupported = 77

    user, group = os.getuid(), os.getgid()

    def child() -> int:
        if libc.unshare(new_user | new_mounts):
            return unsupported
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        if libc.mount(b"none", str(tmp_path).encode(), b"tmpfs", 0, f"size={size}".encode()):
            return unsupported
        with RunDir(tmp_path / "run") as run:
            save_checkpoint(run, 1, state(1))
            with pytest.raises(StpnError, match="No space left") as refusal:
                save_checkpoint(run, 2, {"big": torch.zeros(size)})
            assert refusal.value.exit_code == 2
            assert survivor(run) == 1
            assert not list(temporary_names(run.checkpoints))
            save_checkpoint(run, 2, state(2))
            assert survivor(run) == 2
        return 0

    code = wait(fork(child, tmp_path.with_suffix(".txt")))
    if code == unsupported:
        pytest.skip("this machine lets no ordinary user mount a tmpfs")
    assert code == 0


def test_an_unfinished_file_has_a_folder_and_a_name_of_its_own(tmp_path):
    path = unfinished_file(tmp_path / "a" / "b", "lines")
    assert path.parent.is_dir()
    assert path.name == f".lines.{os.getpid()}.partial"
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken"):
        unfinished_file(tmp_path / "taken", "lines")
