"""`stpn data check | info | synthesize | convert`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

_FORMATS = (
    *("auto", "imagenet_vid", "imagenet_det", "coco_vid", "youtube_vis", "got10k"),
    *("lasot", "trackingnet", "coco_targets", "own", "frames"),
)
_COMMANDS = {
    "check": "audit a data set and name every defect",
    "info": "count videos, frames and boxes by class",
    "synthesize": "write small videos of moving objects with their boxes or masks",
    "convert": "write videos with masks in YouTube-VIS's layout",
}


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run one sub-command; returns the exit code (2: defects were found, or bad input)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["synthesize"]:
        from stpn_data.synthesize import main as synthesize

        return synthesize(argv[1:])
    if argv[:1] == ["convert"]:
        from stpn_data.convert import main as convert

        return convert(argv[1:])
    options = _parser().parse_args(argv)
    if options.command == "check":
        return _check(options)
    return _info(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stpn data", description="Look at data sets and make small ones."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=f"{text.capitalize()}.")
        if name in ("synthesize", "convert"):
            continue
        sub.add_argument(
            "path", type=Path, help="folder of the data set, or a COCO-style .json file"
        )
        sub.add_argument("--split", help="train, val …; all that are found by default")
        sub.add_argument("--format", choices=_FORMATS, default="auto", help="layout, if not found")
        sub.add_argument("--json", action="store_true", help="print one JSON object")
        if name == "check":
            sub.add_argument("--decode", action="store_true", help="decode every image as well")
    return parser


def _check(options: argparse.Namespace) -> int:
    from stpn_data.check import check_dataset

    audits = check_dataset(
        options.path, split=options.split, format=options.format, decode=options.decode
    )
    total = sum(len(audit.defects) for audit in audits)
    if options.json:
        splits = {
            audit.split: {
                **_sizes(audit.index),
                "counts": audit.counts,
                "defects": [defect._asdict() for defect in audit.defects],
            }
            for audit in audits
        }
        print(json.dumps({"path": str(options.path), "defects": total, "splits": splits}, indent=1))
        return 2 if total else 0
    for audit in audits:
        for defect in audit.defects:
            print(f"{defect.kind}: {defect}")
    for audit in audits:
        found = ", ".join(f"{count} × {kind}" for kind, count in audit.counts.items())
        print(f"{audit.split}: {_sizes_text(audit.index)}; {found or 'no defects'}")
    return 2 if total else 0


def _info(options: argparse.Namespace) -> int:
    from stpn_data.info import describe, describe_text

    found = describe(options.path, options.split, options.format)
    print(json.dumps(found, indent=1) if options.json else describe_text(found))
    return 0


def _sizes(index: object) -> dict[str, int]:
    from stpn_data.index import VideoIndex

    if not isinstance(index, VideoIndex):
        return {}
    return {"videos": index.num_videos, "frames": index.num_frames, "boxes": len(index.boxes)}


def _sizes_text(index: object) -> str:
    return ", ".join(f"{n} {what}" for what, n in _sizes(index).items()) or "could not be read"
