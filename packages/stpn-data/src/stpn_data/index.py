"""The index of a video data set: what lies where and what is annotated, in columns.

V videos hold F frames, and F frames hold M boxes. Frames of a video are contiguous and in order
of time; boxes of a frame are contiguous. A column is one numpy array whatever the number of frames,
and file names share one buffer, so a million frames take tens of megabytes, pickle quickly and are
shared by forked workers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError
from stpn_data.masks import Masks, join_masks, masks_of

OCCLUDED = 1  # bits of `flags`; 4 (CROWD), 8 and 16 (OCCLUSION) are those of `masks`
GENERATED = 2
ABSENT = 32  # tracking: the box is stated, but the target is not to be seen in this frame


class Boxes(NamedTuple):
    """Annotation of one frame: n boxes in pixels of the file, as annotated (not clipped)."""

    boxes: NDArray[np.float32]  # (n,4) x1, y1, x2, y2
    labels: NDArray[np.int16]  # (n,) position in `classes`
    tracks: NDArray[np.int32]  # (n,) identity within the video, -1 if none is given
    flags: NDArray[np.uint8]  # (n,) OCCLUDED | GENERATED | ABSENT | those of `masks`


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """Videos, frames and boxes of one split. Made by the readers, or by `build_index`."""

    root: Path
    classes: tuple[str, ...]
    source: str  # where it came from, for people
    video_names: tuple[str, ...]
    folders: tuple[str, ...]  # (V,) where the files of a video lie: absolute, inside its data root
    video_start: NDArray[
        np.int64
    ]  # (V+1,) frames of video v: video_start[v] up to video_start[v+1]
    name_bytes: NDArray[np.uint8]  # file names of all frames, UTF-8, one after the other
    name_start: NDArray[np.int64]  # (F+1,)
    sizes: NDArray[np.int32]  # (F,2) width, height; 0 = not known before decoding
    annotated: NDArray[np.bool_]  # (F,) someone looked at this frame, even if it holds no box
    present: NDArray[np.bool_]  # (F,) the image file existed when the index was made
    box_start: NDArray[np.int64]  # (F+1,)
    boxes: NDArray[np.float32]  # (M,4) x1, y1, x2, y2 in pixels, as annotated
    labels: NDArray[np.int16]  # (M,)
    tracks: NDArray[np.int32]  # (M,)
    flags: NDArray[np.uint8]  # (M,)
    keys: NDArray[np.int64]  # (n,) frames that training may use as key frame, with repeats
    notes: tuple[str, ...] = ()  # what the reader left out or found missing, counted
    masks: Masks | None = None  # of all M boxes; None where a data set has none

    @property
    def num_videos(self) -> int:
        return len(self.video_names)

    @property
    def num_frames(self) -> int:
        return len(self.annotated)

    def video_of(self, frame: int) -> int:
        """Number of the video that holds `frame`."""
        if not 0 <= frame < self.num_frames:
            raise IndexError(f"frame {frame} of {self.num_frames}")
        return bisect_right(self.video_start, frame) - 1

    def frames_of(self, video: int) -> range:
        """Numbers of the frames of `video`, in order of time."""
        return range(int(self.video_start[video]), int(self.video_start[video + 1]))

    def file_name(self, frame: int) -> str:
        """Name of the image file inside the folder of its video."""
        start, stop = self.name_start[frame], self.name_start[frame + 1]
        return self.name_bytes[start:stop].tobytes().decode()

    def frame_path(self, frame: int) -> Path:
        """Where the image of `frame` lies."""
        return Path(self.folders[self.video_of(frame)]) / self.file_name(frame)

    def frame_name(self, frame: int) -> str:
        """`val/ILSVRC2015_val_00000007/000012`: video and file without its ending.

        A still image whose video is named after it keeps that one name.
        """
        video = self.video_of(frame)
        name = self.video_names[video]
        stem = self.file_name(frame).rsplit(".", 1)[0]
        alone = self.video_start[video + 1] - self.video_start[video] == 1
        return name if alone and name.rsplit("/", 1)[-1] == stem else f"{name}/{stem}"

    def boxes_of(self, frame: int) -> Boxes:
        """Annotation of `frame` (views, not copies)."""
        rows = slice(int(self.box_start[frame]), int(self.box_start[frame + 1]))
        return Boxes(self.boxes[rows], self.labels[rows], self.tracks[rows], self.flags[rows])

    def masks_of(self, frame: int) -> NDArray[np.uint8]:
        """Instance masks (n,H,W), 0 or 1, of the boxes of `frame`, at the size of the file.

        Raises DataError if the data set has no masks.
        """
        return masks_of(self, frame)


@dataclass(frozen=True)
class Video:
    """One video of n frames and m boxes, on its way into an index. `None` columns take defaults."""

    name: str
    folder: str  # absolute
    files: Sequence[str]  # (n,) names inside `folder`
    sizes: NDArray[np.int32] | None = None  # (n,2), default 0: not known
    annotated: NDArray[np.bool_] | None = None  # (n,), default all
    present: NDArray[np.bool_] | None = None  # (n,), default all
    box_counts: NDArray[np.int64] | None = None  # (n,) sums to m; default none
    boxes: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    labels: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    tracks: NDArray[np.int32] | None = None  # (m,), default -1
    flags: NDArray[np.uint8] | None = None  # (m,), default 0
    keys: Sequence[int] | NDArray[np.int64] = ()  # (k,) positions 0..n-1 within this video


def build_index(
    root: Path,
    classes: Sequence[str],
    source: str,
    videos: Iterable[Video],
    notes: Sequence[str] = (),
) -> VideoIndex:
    """Join videos into one index, in the order given."""
    videos = list(videos)
    lengths = [len(video.files) for video in videos]
    starts = _offsets(lengths)
    encoded = [[name.encode() for name in video.files] for video in videos]
    counts = [_column(v.box_counts, len(v.files), 0, np.int64) for v in videos]
    for video, count in zip(videos, counts, strict=True):
        if not int(count.sum()) == len(video.boxes) == len(video.labels):
            raise DataError(f"video {video.name}: columns of its boxes differ in length")
    return VideoIndex(
        root=root,
        classes=tuple(classes),
        source=source,
        video_names=tuple(video.name for video in videos),
        folders=tuple(video.folder for video in videos),
        video_start=starts,
        name_bytes=np.frombuffer(b"".join(b"".join(names) for names in encoded), np.uint8),
        name_start=_offsets([len(name) for names in encoded for name in names]),
        sizes=_stack(np.int32, [(v.sizes, (len(v.files), 2), 0) for v in videos]).reshape(-1, 2),
        annotated=_stack(np.bool_, [(v.annotated, len(v.files), True) for v in videos]),
        present=_stack(np.bool_, [(v.present, len(v.files), True) for v in videos]),
        box_start=_offsets(np.concatenate([np.zeros(0, np.int64), *counts])),
        boxes=_stack(np.float32, [(v.boxes, (0, 4), 0) for v in videos]).reshape(-1, 4),
        labels=_stack(np.int16, [(v.labels, 0, 0) for v in videos]),
        tracks=_stack(np.int32, [(v.tracks, len(v.boxes), -1) for v in videos]),
        flags=_stack(np.uint8, [(v.flags, len(v.boxes), 0) for v in videos]),
        keys=_stack(
            np.int64,
            [
                (np.asarray(v.keys, np.int64) + n, 0, 0)
                for v, n in zip(videos, starts, strict=False)
            ],
        ),
        notes=tuple(notes),
    )


def concat(indexes: Sequence[VideoIndex]) -> VideoIndex:
    """Several indexes as one, e.g. ImageNet VID and DET. Their classes must be the same, in order.

    Raises DataError otherwise, or if there is nothing to join.
    """
    if not indexes:
        raise DataError("no data sets to join")
    first = indexes[0]
    for other in indexes[1:]:
        if other.classes != first.classes:
            raise DataError(
                f"cannot join {first.source} and {other.source}: their classes differ "
                f"({_brief(first.classes)} and {_brief(other.classes)}); "
                "read both with the same `classes`"
            )

    def join(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(index, name) for index in indexes])

    def join_offsets(name: str) -> NDArray[np.int64]:
        return _offsets(np.concatenate([np.diff(getattr(index, name)) for index in indexes]))

    frames_before = _offsets([index.num_frames for index in indexes])
    masked = [index.masks for index in indexes if index.masks is not None]
    notes = [note for index in indexes for note in index.notes]
    whole = len(masked) == len(indexes)
    if masked and not whole:
        without = ", ".join(index.source for index in indexes if index.masks is None)
        notes.append(f"instance masks are left out, as {without} has none")
    return replace(
        first,
        source=" + ".join(index.source for index in indexes),
        video_names=tuple(name for index in indexes for name in index.video_names),
        folders=tuple(folder for index in indexes for folder in index.folders),
        video_start=join_offsets("video_start"),
        name_start=join_offsets("name_start"),
        box_start=join_offsets("box_start"),
        keys=np.concatenate(
            [index.keys + n for index, n in zip(indexes, frames_before[:-1], strict=True)]
        ),
        name_bytes=join("name_bytes"),
        sizes=join("sizes"),
        annotated=join("annotated"),
        present=join("present"),
        boxes=join("boxes"),
        labels=join("labels"),
        tracks=join("tracks"),
        flags=join("flags"),
        notes=tuple(notes),
        masks=join_masks(masked, [index.num_videos for index in indexes]) if whole else None,
    )


def require_present(index: VideoIndex, *, allow_missing: bool = False) -> None:
    """Refuse to evaluate on a data set with missing frames: the numbers would not be comparable.

    Raises DataError that counts them and names the first three, unless `allow_missing`.
    """
    missing = np.flatnonzero(~index.present)
    if len(missing) and not allow_missing:
        raise DataError(
            f"{index.source}: {len(missing)} of {index.num_frames} frames have no image file, "
            f"first {', '.join(str(index.frame_path(int(i))) for i in missing[:3])}; "
            "restore them, or allow missing frames (--allow-missing) to leave them out"
        )


def _offsets(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(lengths, np.int64))])


def _column(
    values: NDArray[Any] | None, shape: int | tuple[int, ...], default: int, dtype: type
) -> NDArray[Any]:
    """`values` as `dtype`, or `default` everywhere where there are none."""
    return np.full(shape, default, dtype) if values is None else np.asarray(values, dtype)


def _stack(
    dtype: type, parts: Sequence[tuple[NDArray[Any] | None, int | tuple[int, ...], int]]
) -> NDArray[Any]:
    columns = [_column(values, shape, default, dtype) for values, shape, default in parts]
    return np.concatenate(columns) if columns else np.zeros(0, dtype)


def _brief(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f", … {len(names)} in all" if len(names) > 4 else "")
