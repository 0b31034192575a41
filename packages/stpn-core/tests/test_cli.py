"""The `stpn` command: discovery of sub-commands, exit codes, and how errors look."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from stpn_core import errors
from stpn_core.cli import main

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """install("dist", "1.0", command="module:main", code="...") puts a distribution on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def add(name: str, version: str, command: str, code: str | None) -> None:
        module = f"{name.replace('-', '_')}_cli"
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[stpn.commands]\n{command} = {module}:main\n")
        if code is not None:
            (tmp_path / f"{module}.py").write_text(dedent(code))
            monkeypatch.delitem(sys.modules, module, raising=False)

    return add


RAISES = """
    def main(argv):
        "Fail on purpose."
        {0}
"""


def test_help_lists_plugins_with_their_first_line(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("stpn-hello", "3.1", "hello", 'def main(argv):\n    "Say hello.\\n\\nMore."\n')
    for argv in ([], ["-h"], ["--help"]):
        assert main(argv) == 0
        out = capsys.readouterr().out
        assert "hello" in out
        assert "Say hello\n" in out
        assert "convert" in out
        assert "More." not in out


def test_plugin_gets_its_arguments_and_gives_the_exit_code(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("stpn-hello", "3.1", "hello", "def main(argv):\n    print(argv)\n    return 7\n")
    assert main(["hello", "--help", "x"]) == 7
    assert capsys.readouterr().out == "['--help', 'x']\n"


def test_broken_plugin_is_named_and_hides_nothing(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("stpn-good", "1.0", "good", 'def main(argv):\n    "Work."\n')
    install("stpn-bad", "2.0", "bad", "raise ImportError('libfoo.so is missing')\n")
    install("stpn-quits", "2.0", "quits", "raise SystemExit('no')\n")
    install("stpn-gone", "2.0", "gone", None)
    for argv in (["tasks"], ["--help"]):
        assert main(argv) == 0
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
        assert "Work" in lines["good"]
        assert "error" not in lines["good"]
        for name in ("bad", "quits", "gone"):
            assert "error" in lines[name]
            assert f"stpn-{name}" in lines[name]
        assert "libfoo.so is missing" in lines["bad"]
    assert main(["good"]) == 0
    assert main(["bad"]) == 2
    assert "stpn-bad 2.0" in capsys.readouterr().err


def test_two_plugins_of_one_name_are_an_error_naming_both(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("stpn-one", "stpn-two"):
        install(name, "1.0", "same", "def main(argv):\n    return 0\n")
    assert main(["same"]) == 2
    error = capsys.readouterr().err
    assert "stpn-one" in error
    assert "stpn-two" in error


def test_version_and_tasks_name_distributions(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("stpn-hello", "3.1", "hello", 'def main(argv):\n    "Say hello."\n')
    assert main(["--version"]) == 0
    out = capsys.readouterr().out
    assert "stpn-hello 3.1\n" in out
    assert "stpn-core " in out
    assert main(["tasks"]) == 0
    assert "stpn-hello 3.1" in capsys.readouterr().out


def test_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convrt"]) == 2
    assert "did you mean 'convert'?" in capsys.readouterr().err
    assert main(["zzzzzz"]) == 2
    assert "convert" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError, 2),
        (errors.NumericsError, 3),
        (errors.MemoryExhausted, 4),
        (errors.RunLocked, 5),
        (errors.WorkerDied, 6),
    ],
)
def test_errors_of_ours_have_their_exit_code(error: type[errors.StpnError], code: int) -> None:
    assert issubclass(error, errors.StpnError)
    assert error.exit_code == code


def test_an_exit_code_attribute_is_all_the_protocol(
    install: Install, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
        class Locked(Exception):
            exit_code = 5

        def main(argv):
            raise Locked("run\\x1b[2J is locked")
    """
    install("stpn-hello", "1.0", "hello", code)
    assert main(["hello"]) == 5
    assert capsys.readouterr().err == "error: run?[2J is locked\n"  # no escape reaches a terminal
    monkeypatch.setenv("STPN_DEBUG", "1")
    assert main(["hello"]) == 5
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        ("import torch; raise torch.OutOfMemoryError('CUDA out of memory')", 4, "error: out of"),
        ("import torch; torch.empty(1 << 55, dtype=torch.uint8)", 4, "error: out of memory"),
        ("raise MemoryError", 4, "error: out of memory: MemoryError"),
        ("raise RuntimeError('shapes differ')", 1, "Traceback"),  # control: not memory
        ("raise BrokenPipeError('a worker left')", 1, "Traceback"),  # control: not our output
    ],
)
def test_exit_code_of_other_exceptions(
    install: Install, capfd: pytest.CaptureFixture[str], statement: str, code: int, said: str
) -> None:
    install("stpn-hello", "1.0", "hello", RAISES.format(statement))
    assert main(["hello"]) == code
    assert capfd.readouterr().err.startswith(said)


def test_usage_errors_of_argparse_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["convert", "only-one-argument"])
    assert stop.value.code == 2
    assert main(["tasks", "extra"]) == 2


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, "-m", "stpn_core.cli", "--help"]
    done = subprocess.run(program, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from stpn_core.cli import main\n"
        "for argv in (['--help'], ['tasks'], ['--version']): main(argv)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'numpy', 'av', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # control: the same check notices torch
    again = subprocess.run(
        [sys.executable, "-c", code.replace("import sys;", "import sys, numpy;")],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 1
