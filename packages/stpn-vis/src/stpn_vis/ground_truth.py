"""Annotated tracks of an index, as the metric takes them."""

from __future__ import annotations

from stpn_core.errors import InputError
from stpn_data.index import VideoIndex
from stpn_data.masks import Instance, instances_of
from stpn_vis.rle import Rle
from stpn_vis.video_ap import Track, Truth
from stpn_vis.video_ap.tracks import occlusion_level


def ground_truth(index: VideoIndex) -> Truth:
    """All annotated tracks of `index`, with the ids of its file for videos and categories.

    Areas are those that the file states, as in the benchmark. Raises InputError if nothing is
    annotated: those of the official validation sets are not public.
    """
    if index.masks is None or not len(index.masks.instances):
        raise InputError(
            f"{index.source}: holds no annotated objects, so there is nothing to compare with; hold "
            "out a part of the training videos instead, or submit to the benchmark's server"
        )
    videos = [int(number) for number in index.masks.video_ids]
    tracks = [
        _track(videos[v], instance)
        for v in range(index.num_videos)
        for instance in instances_of(index, v)
    ]
    categories = sorted(int(number) for number in index.masks.category_ids)
    return Truth(tuple(tracks), tuple(sorted(videos)), tuple(categories))


def _track(video: int, instance: Instance) -> Track:
    areas = [area for area in instance.areas if area]
    words = [word for word in instance.occlusions if word is not None]
    masks: list[Rle | None] = [dict(one) if one else None for one in instance.segmentations()]
    return Track(
        video,
        instance.category_id,
        tuple(masks),
        sum(areas) / len(areas) if areas else 0.0,
        crowd=instance.crowd,
        occlusion=occlusion_level(words) if words else None,
    )
