"""`stpn vot submit`: results on GOT-10k's test split as the zip its server takes."""

from __future__ import annotations

import sys

from stpn_core.errors import InputError
from stpn_vot.arguments import SubmitArguments
from stpn_vot.protocol import Protocol, stated
from stpn_vot.result_record import read_record
from stpn_vot.submission import (
    SEQUENCES,
    check_files,
    expected_of,
    read_files,
    write_submission,
)


def run(arguments: SubmitArguments) -> int:
    """Check results and pack them, or check a zip that is there. Nothing is written after a fault."""
    source, out = arguments.results, arguments.out
    packed = source.suffix == ".zip" and not source.is_dir()
    if packed and out is not None:
        raise InputError(f"{source} is packed: without --out it is checked")
    if not packed and not source.is_dir():
        raise InputError(f"{source}: neither a folder of results nor a .zip")
    if not packed and (out is None or out.suffix != ".zip" or not out.parent.is_dir()):
        raise InputError(f"--out {out}: name a .zip in a folder that is there")
    record = None if packed else read_record(source)
    protocol = stated(
        "unknown" if record is None else record.protocol, arguments.protocol, str(source)
    )
    files = read_files(source)
    expected = None if arguments.data is None else expected_of(arguments.data)
    checked = check_files(files, expected)
    if checked.faults:
        raise InputError(f"{source} would be refused or misread:\n  " + "\n  ".join(checked.faults))
    for warning in (*checked.warnings, *_protocol_warning(protocol)):
        print(f"warning: {warning}", file=sys.stderr)
    if expected is None:
        print("note: without --data lengths and given boxes are not checked", file=sys.stderr)
    if out is not None:
        write_submission(out, files)
    print(f"{out or source}: {len(SEQUENCES)} sequences, fit for the server; protocol {protocol}")
    return 0


def _protocol_warning(protocol: Protocol) -> list[str]:
    if protocol == "full":
        return ["trained on more than GOT-10k's training split: say so when you submit"]
    return []
