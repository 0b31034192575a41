from __future__ import annotations

import subprocess
import sys

import pytest

from stpn_data.cli import main


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, stpn_data.cli as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print([m for m in ('torch', 'numpy', 'av', 'PIL', 'torchvision') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-2:] == ["0", "[]"]
    for command in ("check", "info", "synthesize"):
        assert command in run.stdout


def test_typing_errors_exit_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["chek"], ["check"], ["check", "x", "--format", "voc"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
    assert "voc" in capsys.readouterr().err


def test_the_installed_command_reports_errors_without_a_traceback() -> None:
    command = [sys.executable, "-c", "from stpn_core.cli import main; raise SystemExit(main())"]
    pytest.importorskip("stpn_core")
    run = subprocess.run(
        [*command, "data", "info", "/does/not/exist"], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 2
    assert run.stderr == "error: /does/not/exist: no such file or folder\n"
