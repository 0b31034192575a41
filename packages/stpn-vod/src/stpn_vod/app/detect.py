"""What a job does: read its clip, let every lane look at it, keep pictures and boxes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from stpn_core.errors import InputError
from stpn_data.support import UniformPolicy, counted_policy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame, open_video
from stpn_data.video_reading import spread, taken
from stpn_vod.app.jobs import Job
from stpn_vod.app.lanes import Lane, LaneFrames, side_by_side
from stpn_vod.app.options import SpoiledVideo
from stpn_vod.predict import as_record
from stpn_vod.stream import FrameResult

FLOOR = 0.05  # the slider's lowest score; weaker boxes are not kept
MOST = 50  # boxes of a lane on a frame
SHOWN_SIDE = 960  # pixels of the longer side of what the page shows


def run_job(job: Job, lanes: Sequence[Lane]) -> None:
    """Fill `job` with one record and one picture per frame, until it is done or cancelled.

    Decoding happens in a child process: a clip that crashes the decoder must not end the server.
    Raises DataError or InputError where the clip cannot be read.
    """
    config = job.options.predict
    policy = counted_policy(config.policy, config.count, config.stride)
    with open_video(job.clip, isolated=True) as source:
        video = SpoiledVideo(source, job.options)
        job.begin(_length(source.length_hint, config.max_frames), source.fps)
        support: Sequence[Tensor] = ()
        if isinstance(policy, UniformPolicy) and any(lane.uses_support for lane in lanes):
            support = spread(video, policy.count, config.max_frames, job.asked_to_stop)
        answers = side_by_side(
            lanes,
            taken(video, config.max_frames, job.asked_to_stop),
            policy,
            EvalResize(config.short_side, config.long_side, config.resampling),
            cuts=config.cuts,
            support=support,
            precision=config.precision,
            taken=job.count_frame,
        )
        for answer in answers:
            job.picture(answer.frame.index).write_bytes(_jpeg(answer.frame.image))
            job.add(_record(answer, lanes, job.options.spoils(answer.frame.index)))
        if not job.records:
            reason = "; ".join(source.problems) or source.status
            raise InputError(f"{job.clip}: no frame could be read ({reason})")
        job.notes(source.status, source.problems)


def spoiled_frames(job: Job, count: int) -> Iterator[VideoFrame]:
    """The first `count` frames of a job's clip once more, as its lanes saw them."""
    with open_video(job.clip, isolated=True) as source:
        yield from taken(SpoiledVideo(source, job.options), count, lambda: False)


def _record(answer: LaneFrames, lanes: Sequence[Lane], spoiled: bool) -> dict[str, Any]:
    """A line of `detections.jsonl` for each lane, and what all have in common once."""
    rows = [
        as_record(FrameResult(answer.frame, found.above(FLOOR), prompted), lane.classes)
        for lane, found, prompted in zip(lanes, answer.found, answer.has_prompt, strict=True)
    ]
    shared = {key: rows[0][key] for key in ("frame", "time", "name", "size")}
    own = [{"prompted": row["prompted"], "objects": row["objects"][:MOST]} for row in rows]
    return shared | {"spoiled": spoiled, "lanes": own}


def _jpeg(image: Tensor) -> bytes:
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _length(hint: int | None, most: int) -> int | None:
    if hint is None:
        return most or None
    return min(hint, most or hint)
