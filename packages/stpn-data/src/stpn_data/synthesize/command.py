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
from pathlib import Path
from types import FrameType

from stpn_data.errors import DataError, WorkerDied
from stpn_data.synthesize.arguments import Arguments, parse
from stpn_data.synthesize.got10k_files import write_got10k_lists
from stpn_data.synthesize.layout import write_lists
from stpn_data.synthesize.record import write_record
from stpn_data.synthesize.staging import staged
from stpn_data.synthesize.videos import SPLITS, Job, Written, write_video
from stpn_data.synthesize.vis_files import write_vis_json

MOST_WORKERS = 8
STOPPED = 143  # exit code after SIGTERM


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
    jobs = [Job(0, n, arguments.layout) for n in range(arguments.videos)]
    jobs += [Job(1, n, arguments.layout) for n in range(arguments.val_videos)]
    out = Path(out)
    with staged(out, overwrite) as stage:
        try:
            written = _write_videos(stage, arguments, jobs, workers, progress)
            _write_lists(stage, arguments, jobs, written)
            write_record(stage, arguments, [video.record for video in written])
        except OSError as error:
            raise DataError(f"{out}: writing failed, nothing was kept: {error}") from error
    return out


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
        if videos and arguments.layout == "got10k":
            sequences = [name for name, _ in videos]
            write_got10k_lists(stage / split_name, sequences, arguments.classes)
        elif videos:
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
