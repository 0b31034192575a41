"""A tracker over a whole split, into result files; a run that was stopped goes on where it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.runs import replace_file
from stpn_core.runs.manifest import file_record
from stpn_core.training import Precision, World, broadcast_value
from stpn_data.degrade import parse_condition
from stpn_data.index import VideoIndex
from stpn_vot.evaluate import Followed, followed
from stpn_vot.metrics.text_numbers import read_text
from stpn_vot.model_file import TrainedTracker
from stpn_vot.protocol import Protocol
from stpn_vot.result_record import ResultRecord, read_record, require_same, write_record
from stpn_vot.targets import target_of
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True)
class SplitSettings:
    """degrade: what spoils every frame, KIND or KIND:SEVERITY. int_boxes: boxes are cut down to whole
    pixels, as MixFormer submits them; that costs up to 6 % overlap on small targets."""

    tracking: TrackingConfig
    precision: Precision = "fp32"
    degrade: str = ""
    int_boxes: bool = False


def track_split(
    tracker: TrainedTracker,
    index: VideoIndex,
    out: Path,
    settings: SplitSettings,
    world: World,
    *,
    protocol: Protocol,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Write result files of every video of `index` into `out`, in GOT-10k's layout, and a record of
    what made them; returns how many videos were left to do. All ranks must call it.

    The first row is the given box. A sequence's files appear whole; those that are there stay, if
    the record beside them is of the same weights and settings. Raises InputError if it is not, and
    EvaluationStopped on all ranks when `stop` says yes on one.
    """
    degrade = parse_condition(settings.degrade)
    config = tracker.tracking(settings.tracking)
    record = _record(tracker, index, settings, config, protocol)
    todo = broadcast_value(_todo(out, index, record) if world.is_main else [])
    if isinstance(todo, str):
        raise InputError(todo)
    for _, target, way in followed(
        tracker.model, index, todo, config, world,
        precision=settings.precision, degrade=degrade, stop=stop,
    ):  # fmt: skip
        write_sequence(out, target.name, way, int_boxes=settings.int_boxes)
    return len(todo)


def write_sequence(out: Path, name: str, way: Followed, *, int_boxes: bool = False) -> None:
    """`NAME/NAME_001.txt` and `NAME/NAME_time.txt`; the boxes, written last, say that both are there."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    times = "".join(f"{value:.8f}\n" for value in way.seconds)
    replace_file(folder / f"{folder.name}_time.txt", times.encode())
    if int_boxes:
        rows = [",".join(f"{int(value)}" for value in box) for box in way.boxes]
    else:
        rows = [",".join(f"{value:.3f}" for value in box) for box in way.boxes]
    replace_file(folder / f"{folder.name}_001.txt", "".join(f"{row}\n" for row in rows).encode())


def _record(
    tracker: TrainedTracker,
    index: VideoIndex,
    settings: SplitSettings,
    config: TrackingConfig,
    protocol: Protocol,
) -> ResultRecord:
    plain = dataclasses.asdict(settings) | {"tracking": dataclasses.asdict(config)}
    digest = file_record(tracker.source).sha256
    return ResultRecord(protocol, str(tracker.source), digest, index.source, plain)


def _todo(out: Path, index: VideoIndex, record: ResultRecord) -> list[int] | str:
    """Videos without results, and the record beside those; what is wrong with the folder, as text,
    so that all ranks hear of it."""
    try:
        found = read_record(out)
        if found is not None:
            require_same(out, found, record)
        elif out.is_dir() and any(out.iterdir()):
            raise InputError(
                f"{out}: holds files that no tracker here wrote (there is no record.json); name "
                "another folder for results"
            )
        todo = [video for video in range(index.num_videos) if not _is_done(out, index, video)]
        write_record(out, record)
    except (InputError, OSError) as error:
        return str(error)
    return todo


def _is_done(out: Path, index: VideoIndex, video: int) -> bool:
    target = target_of(index, video)
    file = out / target.name / f"{Path(target.name).name}_001.txt"
    if not file.is_file():
        return False
    rows = len(read_text(file).splitlines())
    if rows != len(target.frames):
        raise InputError(
            f"{file}: {rows} boxes for {len(target.frames)} frames: not of this data; name another "
            "folder for results"
        )
    return True
