"""`stpn vis submit`: results for a benchmark's server, or a check of some that are there."""

from __future__ import annotations

from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.training import init_distributed, requested_device, shut_down
from stpn_data.index import VideoIndex
from stpn_vis.arguments import SubmitArguments
from stpn_vis.config_checks import check_eval
from stpn_vis.evaluate import segment_all
from stpn_vis.model_file import load_trained
from stpn_vis.start import open_videos
from stpn_vis.submission import check_submission, expected_of, silent_videos, write_submission


def run(arguments: SubmitArguments) -> int:
    """Segment a split, write the zip and check it; or, with --check, check a zip alone."""
    if (arguments.weights is None) == (arguments.check is None):
        raise InputError("name WEIGHTS to write a submission with, or a file to --check")
    if arguments.check is not None:
        index = open_videos(arguments.data, arguments.split, arguments.format)
        return _report(arguments.check, index)
    return _write(arguments)


def _write(arguments: SubmitArguments) -> int:
    assert arguments.weights is not None
    check_eval(arguments.eval)
    out = arguments.out
    if out.suffix != ".zip" or not out.parent.is_dir():
        raise InputError(f"--out {out}: name a .zip in a folder that is there")
    world = init_distributed(requested_device(arguments.device), arguments.timeout)
    segmenter = load_trained(arguments.weights, world.device)
    index = open_videos(arguments.data, arguments.split, arguments.format)
    if len(segmenter.classes) != len(index.classes):
        raise InputError(
            f"{segmenter.source} knows {len(segmenter.classes)} classes, "
            f"{index.source} has {len(index.classes)}"
        )
    found = segment_all(
        segmenter.model, index, arguments.eval, world, precision=arguments.precision
    )
    code = 0
    if world.is_main:
        count = write_submission(out, found)
        print(f"{count} results for {index.num_videos} videos -> {out}")
        code = _report(out, index)
    shut_down()
    return code


def _report(path: Path, index: VideoIndex) -> int:
    expected = expected_of(index)
    faults = check_submission(path, expected)
    if faults:
        raise InputError(f"{path} would be refused or misread:\n  " + "\n  ".join(faults))
    silent = silent_videos(path, expected)
    note = f" ({silent} without any result)" if silent else ""
    print(f"{path}: fits {index.source}, {len(expected.videos)} videos{note}")
    return 0
