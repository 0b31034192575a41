"""`stpn data synthesize OUT`: from arguments to a finished folder."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from stpn_data.errors import DataError, WorkerDied
from stpn_data.synthesize.arguments import Arguments, parse
from stpn_data.synthesize.instances import draw_instances
from stpn_data.synthesize.layout import make_folders, write_frame, write_lists
from stpn_data.synthesize.path import motion_iou
from stpn_data.synthesize.record import VideoRecord, write_record
from stpn_data.synthesize.render import render
from stpn_data.synthesize.scene import Scene, draw_scene
from stpn_data.synthesize.staging import staged
from stpn_data.synthesize.vis_files import (
    ObjectLists,
    Objects,
    write_vis_frame,
    write_vis_json,
)

SPLITS = {"imagenet_vid": ("train", "val"), "youtube_vis": ("train", "valid")}
MOST_WORKERS = 8
STOPPED = 143  # exit code after SIGTERM


@dataclass(frozen=True)
class Job:
    split: int  # 0 train, 1 validation
    number: int
    name: str  # of the split in this layout

    @property
    def video(self) -> str:
        return f"{self.name}/synthetic_{self.name}_{self.number:08d}"


def main(argv: Sequence[str]) -> int:
    """Entry of `stpn data synthesize`. Returns the exit code; raises DataError for bad input.

    Ctrl-C and SIGTERM (exit code 143) leave nothing behind.
    """
    request = parse(argv)
    workers = request.workers or min(os.cpu_count() or 1, MOST_WORKERS)
    with _sigterm_exits():
        out = synthesize(
            request.out,
            request.arguments,
            workers=workers,
            overwrite=request.overwrite,
            progress=True,
        )
    asked = request.arguments
    print(
        f"{out}: {asked.videos} training and {asked.val_videos} validation videos "
        f"of {asked.frames} frames, classes {', '.join(asked.classes)}"
    )
    return 0


def synthesize(
    out: str | Path,
    arguments: Arguments,
    *,
    workers: int = 1,
    overwrite: bool = False,
    progress: bool = False,
) -> Path:
    """Write a synthetic data set in the layout that `arguments` name.

    The files depend on `arguments` alone, bit for bit, whatever the number of workers. `out` appears
    when all is written, and not at all if anything goes wrong.

    Args:
        out: new or empty folder, or with `overwrite` one that holds synthetic data.
        arguments: what to draw.
        workers: processes; 1 stays in this one.
        overwrite: replace the synthetic data in `out`.
        progress: show a progress bar on stderr.

    Returns `out` as a path. Raises DataError if `out` cannot be used or written, WorkerDied if a
    process was killed.
    """
    names = SPLITS[arguments.layout]
    jobs = [Job(0, n, names[0]) for n in range(arguments.videos)]
    jobs += [Job(1, n, names[1]) for n in range(arguments.val_videos)]
    out = Path(out)
    with staged(out, overwrite) as stage:
        try:
            written = _write_videos(stage, arguments, jobs, workers, progress)
            _write_lists(stage, arguments, jobs, written)
            write_record(stage, arguments, [video.record for video in written])
        except OSError as error:
            raise DataError(f"{out}: writing failed, nothing was kept: {error}") from error
    return out


@dataclass(frozen=True)
class Written:
    """What is to be said of a video whose frames are on the disk."""

    record: VideoRecord
    objects: Objects  # youtube_vis: its annotations; imagenet_vid has files of its own for them


def write_video(stage: Path, arguments: Arguments, job: Job) -> Written:
    """Draw and write one video; depends on nothing but its arguments."""
    instances = arguments.layout == "youtube_vis"
    classes = arguments.classes
    number, place = divmod(job.number, len(classes))
    scene = (draw_instances if instances else draw_scene)(arguments, job.split, number)
    labels = _labels(scene, classes, scene.order[place], arguments.mixed)
    width, height = arguments.size
    objects, boxes = ObjectLists(labels if instances else []), []
    images = stage / job.name / "JPEGImages"
    name = job.video.rpartition("/")[2]
    if instances:
        (images / name).mkdir(parents=True)
    else:
        make_folders(stage, job.video)
    for t, frame in enumerate(render(scene, tuple(labels), height, width)):
        if instances:
            write_vis_frame(images, name, t, frame, arguments.quality)
            objects.add(frame)
        else:
            write_frame(stage, job.video, t, frame, labels, arguments.quality)
        boxes.append(frame.boxes)
    tracks = np.stack(boxes, axis=1).astype(np.float64)
    tracks[..., 2:] += 1  # they name the last column and row
    record = VideoRecord(
        name=job.video,
        scene=number,
        speed=scene.speed,
        kind=[spoil.kind for spoil in scene.schedule],
        severity=[spoil.severity for spoil in scene.schedule],
        classes=labels,
        motion_iou=[[round(float(value), 4) for value in motion_iou(track)] for track in tracks],
    )
    return Written(record, objects.entries)


def _labels(scene: Scene, classes: Sequence[str], first: int, mixed: bool) -> list[str]:
    """Class of each object, where that of the first is `first`."""
    if scene.offsets:
        return [classes[(first + offset) % len(classes)] for offset in scene.offsets]
    labels = [classes[first]] * len(scene.objects)
    if mixed and len(labels) > 1:
        labels[1] = classes[(first + scene.other) % len(classes)]
    return labels


def _write_lists(
    stage: Path, arguments: Arguments, jobs: Sequence[Job], written: Sequence[Written]
) -> None:
    """The files that say what there is, of both splits."""
    names = [[job.video for job in jobs if job.split == split] for split in (0, 1)]
    if arguments.layout == "imagenet_vid":
        write_lists(stage, names[0], names[1], arguments.frames, arguments.classes)
        return
    for split, split_name in enumerate(SPLITS[arguments.layout]):
        videos = [
            (job.video.rpartition("/")[2], video.objects)
            for job, video in zip(jobs, written, strict=True)
            if job.split == split
        ]
        if videos:
            path = stage / f"{split_name}.json"
            write_vis_json(path, videos, arguments.frames, arguments.size, arguments.classes)


def _write_videos(
    stage: Path, arguments: Arguments, jobs: list[Job], workers: int, progress: bool
) -> list[Written]:
    from tqdm import tqdm

    def counted(written: Iterable[Written]) -> list[Written]:
        bar = tqdm(written, "synthesize", len(jobs), unit="video", disable=not progress)
        return list(bar)

    if workers == 1:
        return counted(write_video(stage, arguments, job) for job in jobs)
    with _pool(min(workers, len(jobs))) as pool:
        try:
            futures = [pool.submit(write_video, stage, arguments, job) for job in jobs]
            return counted(future.result() for future in futures)
        except BrokenProcessPool:
            raise WorkerDied(
                "a process that was drawing videos was killed (out of memory?); "
                "nothing was kept, try fewer --workers"
            ) from None


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block, whatever ends it, and with this process."""
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_settle
    )
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _settle() -> None:
    """In a worker: leave Ctrl-C to the parent, and end when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _sigterm_exits() -> Iterator[None]:
    """SIGTERM unwinds the stack, so that what was begun is tidied up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(STOPPED)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
