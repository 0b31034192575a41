"""How long a data set takes to be indexed the first time, and again: a million frames of ImageNet VID.

    python benchmarks/indexing.py [--quick] [--frames N]

Writes a tree with an XML file and an (empty) image file per frame in a temporary folder, and the same
annotations as one CocoVID file; needs about 10 GB and four million inodes for the million. Each index
is made in a process of its own, so that its peak memory is its own. Exits with 1 beyond a minute or a
gigabyte.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from _measure import RESULTS, facts, report_name, write_report
from tqdm import tqdm

LENGTH = 250
SECONDS, MIB = 60.0, 1024.0
NOTES = (
    "Wall seconds of open_dataset, and peak resident memory beyond that of the imports (some 600 MiB, "
    "most of it torch); 'again' finds the index in the cache. The tree is in memory (tmpfs)."
)
XML = """<annotation>
\t<folder>{folder}</folder>
\t<filename>{name}</filename>
\t<source><database>ILSVRC_2015</database></source>
\t<size><width>1280</width><height>720</height></size>
{objects}</annotation>
"""
OBJECT = """\t<object>
\t\t<trackid>{track}</trackid>
\t\t<name>n02691156</name>
\t\t<bndbox><xmax>{x2}</xmax><xmin>{x1}</xmin><ymax>{y2}</ymax><ymin>{y1}</ymin></bndbox>
\t\t<occluded>0</occluded>
\t\t<generated>0</generated>
\t</object>
"""


def boxes(video: int, t: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Track, x1, y1, x2, y2 of one or two objects."""
    for track in range(1 + video % 2):
        x, y = (37 * video + 3 * t) % 900, (53 * track + 2 * t) % 400
        yield track, x, y, x + 200, y + 150


def write_xml(root: Path, videos: int) -> None:
    """ImageNet VID's training split as it lies on disk."""
    lists = root / "ImageSets" / "VID"
    lists.mkdir(parents=True)
    names = []
    for video in tqdm(range(videos), desc="write", unit="video"):
        name = f"ILSVRC2015_VID_train_0000/ILSVRC2015_train_{video:08d}"
        names.append(name)
        frames, labels = root / "Data/VID/train" / name, root / "Annotations/VID/train" / name
        frames.mkdir(parents=True)
        labels.mkdir(parents=True)
        for t in range(LENGTH):
            text = "".join(
                OBJECT.format(track=k, x1=x1, y1=y1, x2=x2, y2=y2)
                for k, x1, y1, x2, y2 in boxes(video, t)
            )
            (labels / f"{t:06d}.xml").write_text(
                XML.format(folder=name, name=f"{t:06d}", objects=text)
            )
            os.close(os.open(frames / f"{t:06d}.JPEG", os.O_CREAT | os.O_WRONLY))
    text = "".join(f"{name} {number}\n" for number, name in enumerate(names, start=1))
    (lists / "train.txt").write_text(text)


def write_json(root: Path, videos: int) -> None:
    """The same as mmtracking's CocoVID file."""
    images, annotations = [], []
    for video in range(videos):
        name = f"ILSVRC2015_VID_train_0000/ILSVRC2015_train_{video:08d}"
        for t in range(LENGTH):
            number = len(images) + 1
            images.append(
                {"id": number, "video_id": video + 1, "frame_id": t, "width": 1280, "height": 720,
                 "file_name": f"train/{name}/{t:06d}.JPEG"}
            )  # fmt: skip
            annotations += [
                {"id": len(annotations) + 1 + k, "image_id": number, "video_id": video + 1,
                 "category_id": 1, "instance_id": k, "bbox": [x1, y1, x2 - x1, y2 - y1],
                 "area": 30000, "iscrowd": False, "occluded": False, "generated": False}
                for k, x1, y1, x2, y2 in boxes(video, t)
            ]  # fmt: skip
    content = {
        "videos": [{"id": v + 1, "name": f"train/v{v}"} for v in range(videos)],
        "categories": [{"id": 1, "name": "airplane"}],
        "images": images,
        "annotations": annotations,
    }
    folder = root / "annotations"
    folder.mkdir()
    (folder / "imagenet_vid_train.json").write_text(json.dumps(content))


def opened(root: Path, kind: str) -> dict[str, float]:
    """What a process of its own tells that opens the data set."""
    answer = subprocess.run(
        [sys.executable, __file__, "--open", str(root), kind],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def open_and_tell(root: str, kind: str) -> int:
    from stpn_data.readers import open_dataset

    path = Path(root) / "annotations" / "imagenet_vid_train.json" if kind == "coco_vid" else root
    imports = peak_rss()
    start = time.perf_counter()
    index = open_dataset(path, "train", format=kind)  # type: ignore[arg-type]
    seconds = round(time.perf_counter() - start, 2)
    found = {"seconds": seconds, "MiB": peak_rss() - imports, "frames": index.num_frames}
    print(json.dumps(found | {"boxes": len(index.labels)}))
    return 0


def peak_rss() -> int:
    """Peak resident MiB of this program; getrusage would count what its parent held at the fork."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 frames")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--open", nargs=2, metavar=("ROOT", "KIND"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        return open_and_tell(*arguments.open)
    frames = 20_000 if arguments.quick else arguments.frames
    rows: list[dict[str, object]] = []
    slow = False
    with tempfile.TemporaryDirectory(prefix="stpn-index-") as folder:
        os.environ["STPN_CACHE"] = str(Path(folder) / "cache")
        root = Path(folder) / "ILSVRC"
        write_xml(root, frames // LENGTH)
        write_json(root, frames // LENGTH)
        for kind in ("imagenet_vid", "coco_vid"):
            for when in ("first", "again"):
                found = opened(root, kind)
                slow |= found["seconds"] > SECONDS or found["MiB"] > MIB
                rows.append({"layout": kind, "time": when, **found})
    cpu = torch.device("cpu")
    name = report_name("indexing", cpu, arguments.quick)
    write_report(name, "What indexing takes", rows, facts(cpu), NOTES, {}, arguments.out)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
