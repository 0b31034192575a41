"""Reading weights takes memory within a bound, measured in a process of its own."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

FILES = ("small.pth", "one.pth", "one.safetensors", "bomb.pth", "array.pkl", "tensor.pkl")
MEMORY = """
import sys, torch
from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint

def peak():
    line = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

def reset():
    open("/proc/self/clear_refs", "w").write("5")  # peak := present
    return peak()

torch.load(sys.argv[1], weights_only=True)  # touches what is loaded once
try:
    read_checkpoint(sys.argv[1])
except InputError:
    pass
for path in sys.argv[1:]:
    before = reset()
    try:
        held = read_checkpoint(path) and "read"
    except InputError as error:
        held = "refused"
    ours = peak() - before
    before = reset()
    if path.endswith("bomb.pth"):
        held = torch.load(path, weights_only=True) and held
    print(held, ours, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory use from /proc")
def test_memory_stays_within_twice_the_file(tmp_path: Path) -> None:
    one = {"w": torch.ones(24 << 20)}  # 96 MiB in one tensor, the worst case for copies
    files = [tmp_path / name for name in FILES]
    torch.save({"w": torch.ones(8)}, files[0])
    torch.save(one, files[1])
    save_file(one, files[2])
    files[4].write_bytes(pickle.dumps({"w": one["w"].numpy()}))
    files[5].write_bytes(pickle.dumps(one))
    torch.save({"w": torch.zeros(32 << 20)}, tmp_path / "zeros.pth")  # 128 MiB that compress well
    with (
        zipfile.ZipFile(tmp_path / "zeros.pth") as source,
        zipfile.ZipFile(files[3], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb,
    ):
        for name in source.namelist():
            bomb.writestr(name, source.read(name))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *map(str, files)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["read", "read", "read", "refused", "read", "read"]
    for file, (_, ours, _) in zip(files, rows, strict=True):
        assert int(ours) <= 2 * file.stat().st_size + (64 << 20), file.name
    # control: the measurement sees what torch does with the bomb
    assert int(rows[3][2]) > 2 * files[3].stat().st_size + (64 << 20)
