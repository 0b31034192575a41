"""The tracking half of `stpn vot eval --weights`: a split into result files."""

from __future__ import annotations

import contextlib
import sys

from stpn_core.training import (
    EvaluationStopped,
    StopFlag,
    init_distributed,
    listening,
    requested_device,
    shut_down,
)
from stpn_data.readers import open_dataset
from stpn_vot.arguments import EvalArguments
from stpn_vot.model_file import load_trained
from stpn_vot.protocol import stated
from stpn_vot.track_split import SplitSettings, track_split
from stpn_vot.tracking_config import check_tracking


def track_to_files(arguments: EvalArguments) -> int | None:
    """Fill the folder of results; None if they are complete and this process is to measure them,
    else an exit code: 130 or 143 after a signal, 0 on ranks that only helped."""
    assert arguments.weights is not None
    check_tracking(arguments.tracking)
    settings = SplitSettings(
        arguments.tracking, arguments.precision, arguments.degrade, arguments.int_boxes
    )
    world = init_distributed(requested_device(arguments.device), arguments.timeout)
    tracker = load_trained(arguments.weights, world.device)
    if world.is_main:
        for note in tracker.notes:
            print(f"note: {note}", file=sys.stderr)
    protocol = stated(tracker.protocol, arguments.protocol, str(tracker.source))
    index = open_dataset(arguments.data, arguments.split)
    stop = StopFlag()
    try:
        with listening(stop):
            track_split(
                tracker, index, arguments.results[0], settings, world,
                protocol=protocol, stop=stop.__bool__,
            )  # fmt: skip
    except EvaluationStopped:
        if world.is_main:
            print(
                f"stopped; what is in {arguments.results[0]} stays, and the same command goes on there",
                file=sys.stderr,
            )
        return stop.exit_code or 143
    with contextlib.suppress(RuntimeError):
        shut_down()
    return None if world.is_main else 0
