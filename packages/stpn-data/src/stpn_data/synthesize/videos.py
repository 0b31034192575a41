"""One video from its arguments to its files, in each of the layouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stpn_data.synthesize.arguments import Arguments
from stpn_data.synthesize.got10k_files import TargetRows, write_got10k_frame, write_got10k_labels
from stpn_data.synthesize.instances import draw_instances
from stpn_data.synthesize.layout import make_folders, write_frame
from stpn_data.synthesize.path import motion_iou
from stpn_data.synthesize.record import VideoRecord
from stpn_data.synthesize.render import Frame, render
from stpn_data.synthesize.scene import Scene, draw_scene
from stpn_data.synthesize.targets import draw_targets
from stpn_data.synthesize.vis_files import ObjectLists, Objects, write_vis_frame

SPLITS = {
    "imagenet_vid": ("train", "val"),
    "youtube_vis": ("train", "valid"),
    "got10k": ("train", "val"),
}


@dataclass(frozen=True)
class Job:
    split: int  # 0 train, 1 validation
    number: int
    layout: str

    @property
    def name(self) -> str:
        """Of the split in this layout."""
        return SPLITS[self.layout][self.split]

    @property
    def video(self) -> str:
        if self.layout == "got10k":
            return f"{self.name}/GOT-10k_{self.name.capitalize()}_{self.number + 1:06d}"
        return f"{self.name}/synthetic_{self.name}_{self.number:08d}"


@dataclass(frozen=True)
class Written:
    """What is to be said of a video whose frames are on the disk."""

    record: VideoRecord
    objects: Objects  # youtube_vis: its annotations; the others have files of their own for them


def write_video(stage: Path, arguments: Arguments, job: Job) -> Written:
    """Draw and write one video; depends on nothing but its arguments."""
    scene, number, labels = _cast(arguments, job)
    add, close = _files(stage, arguments, job, scene, labels)
    boxes = []
    width, height = arguments.size
    for t, frame in enumerate(render(scene, tuple(labels), height, width)):
        add(t, frame)
        boxes.append(frame.boxes)
    described = 1 if arguments.layout == "got10k" else len(labels)  # the target alone is annotated
    tracks = np.stack(boxes, axis=1).astype(np.float64)[:described]
    tracks[..., 2:] += 1  # they name the last column and row
    record = VideoRecord(
        name=job.video,
        scene=number,
        speed=scene.speed,
        kind=[spoil.kind for spoil in scene.schedule],
        severity=[spoil.severity for spoil in scene.schedule],
        classes=labels[:described],
        motion_iou=[[round(float(value), 4) for value in motion_iou(track)] for track in tracks],
    )
    return Written(record, close())


def _cast(arguments: Arguments, job: Job) -> tuple[Scene, int, list[str]]:
    """A scene, its number in the split and the class of each of its objects."""
    classes = arguments.classes
    if arguments.layout == "got10k":  # no matched sets: a tracker is not asked for a class
        scene = draw_targets(arguments, job.split, job.number)
        return scene, job.number, _labels(scene, classes, scene.order[0], mixed=False)
    number, place = divmod(job.number, len(classes))
    draw = draw_instances if arguments.layout == "youtube_vis" else draw_scene
    scene = draw(arguments, job.split, number)
    return scene, number, _labels(scene, classes, scene.order[place], arguments.mixed)


def _labels(scene: Scene, classes: Sequence[str], first: int, mixed: bool) -> list[str]:
    """Class of each object, where that of the first is `first`."""
    if scene.offsets:
        return [classes[(first + offset) % len(classes)] for offset in scene.offsets]
    labels = [classes[first]] * len(scene.objects)
    if mixed and len(labels) > 1:
        labels[1] = classes[(first + scene.other) % len(classes)]
    return labels


def _files(
    stage: Path, arguments: Arguments, job: Job, scene: Scene, labels: Sequence[str]
) -> tuple[Callable[[int, Frame], None], Callable[[], Objects]]:
    """What takes each frame, and what is called after the last one."""
    quality = arguments.quality
    if arguments.layout == "youtube_vis":
        images, name = stage / job.name / "JPEGImages", job.video.rpartition("/")[2]
        (images / name).mkdir(parents=True)
        lists = ObjectLists(labels)

        def add_vis(t: int, frame: Frame) -> None:
            write_vis_frame(images, name, t, frame, quality)
            lists.add(frame)

        return add_vis, lambda: lists.entries
    if arguments.layout == "got10k":
        folder, rows = stage / job.video, TargetRows()
        folder.mkdir(parents=True)

        def add_got10k(t: int, frame: Frame) -> None:
            write_got10k_frame(folder, t, frame, quality)
            rows.add(frame, scene.objects[0].poses[t].radius)

        def close_got10k() -> Objects:
            write_got10k_labels(folder, rows, labels[0], scene.speed, arguments.size)
            return []

        return add_got10k, close_got10k
    make_folders(stage, job.video)
    return lambda t, frame: write_frame(stage, job.video, t, frame, labels, quality), list
