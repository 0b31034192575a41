"""Differences between the lists of ImageNet VID and what lies on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stpn_data.defects import Defect
from stpn_data.index import VideoIndex
from stpn_data.paths import list_files, walk_folders
from stpn_data.readers.imagenet import IMAGE_SUFFIXES, folder_pair

_ANY = ("",)


def audit_vid_lists(base: Path, split: str, index: VideoIndex) -> Iterator[Defect]:
    """Videos and frames on disk that the split does not hold, listed videos without any file, and
    files that are no frames.
    """
    images_in, xml_in = folder_pair(base, "VID", split, str(base))
    on_disk = {*walk_folders(base, images_in, _ANY), *walk_folders(base, xml_in, _ANY)} - {""}
    listed = {name: video for video, name in enumerate(index.video_names)}
    for name in sorted(on_disk):
        place = f"{base}/Data/VID/{split}/{name}"
        if f"{split}/{name}" in listed:
            yield from _files(base, index, listed[f"{split}/{name}"])
        else:
            yield Defect("not listed", place, "a video on disk that no list names")
    for name, video in listed.items():
        if name.removeprefix(f"{split}/") not in on_disk:
            text = f"listed with {len(index.frames_of(video))} frames, but there is no such folder"
            yield Defect("missing video", index.folders[video], text)


def _files(base: Path, index: VideoIndex, video: int) -> Iterator[Defect]:
    name = index.video_names[video]
    images_in, xml_in = folder_pair(base, "VID", name, name)
    ours = {index.file_name(frame).rsplit(".", 1)[0] for frame in index.frames_of(video)}
    for folder, suffixes in ((images_in, IMAGE_SUFFIXES), (xml_in, (".xml",))):
        for file in sorted(list_files(base, folder, _ANY)):
            stem, dot, suffix = file.rpartition(".")
            if f"{dot}{suffix}".lower() not in suffixes or not stem.isdecimal():
                yield Defect("stray file", f"{folder}/{file}", "neither a frame nor its annotation")
            elif stem not in ours:
                yield Defect("not listed", f"{folder}/{file}", "a frame that no list names")
