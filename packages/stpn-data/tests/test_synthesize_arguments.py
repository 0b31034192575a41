"""The command line of `stpn data synthesize`."""

from __future__ import annotations

from pathlib import Path

import pytest

from stpn_data.errors import DataError
from stpn_data.synthesize import Arguments, main
from stpn_data.synthesize.arguments import parse


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--classes 9", "--classes"),
        ("--classes 1", "--classes"),
        ("--severity 1.2", "--severity"),
        ("--severity 0.9-0.3", "--severity"),
        ("--kinds fog", "--kinds"),
        ("--size 16x128", "--size"),
        ("--frames 0", "--frames"),
        ("--fraction-degraded nan", "--fraction-degraded"),
        ("--burst 0.5", "--burst"),
        ("--objects 3", "--objects"),
        ("--speeds warp", "--speeds"),
        ("--videos 0 --val-videos 0", "--videos"),
        ("--seed -1", "--seed"),
        ("--workers -1", "--workers"),
    ],
)
def test_values_out_of_range_name_their_flag(line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(["out", *line.split()])


@pytest.mark.parametrize("line", ["--size 128", "--severity high", "--videos many"])
def test_a_malformed_line_exits_with_two(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(["out", *line.split()])
    assert stop.value.code == 2
    assert line.split()[0] in capsys.readouterr().err


def test_the_command_line_is_what_is_made() -> None:
    line = (
        "OUT --videos 40 --frames 12 --size 192x160 --classes 4 --severity 0.7 "
        "--kinds blur,occlusion --fraction-degraded 0.25 --val-videos 8 --seed 3 --objects 1-2 "
        "--mixed --speeds fast --burst 3 --quality 80 --workers 2 --overwrite"
    )
    request = parse(line.split())
    assert request.arguments == Arguments(
        videos=40,
        val_videos=8,
        frames=12,
        size=(192, 160),
        num_classes=4,
        severity=(0.7, 0.7),
        kinds=("blur", "occlusion"),
        fraction_degraded=0.25,
        burst=3.0,
        objects=(1, 2),
        mixed=True,
        speeds=("fast",),
        quality=80,
        seed=3,
    )
    assert (request.out, request.workers, request.overwrite) == (Path("OUT"), 2, True)
    assert parse(["OUT"]).arguments == Arguments()


def test_main_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"{tmp_path / 'set'} --videos 1 --val-videos 1 --frames 2 --size 64x64 --workers 1"
    assert main(line.split()) == 0
    assert "1 training and 1 validation videos of 2 frames" in capsys.readouterr().out
