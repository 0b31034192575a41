"""Evaluation over whole videos, sharded by video over ranks; the same numbers for any number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from stpn_core.training import Pace, Precision, World, autocast, gather_values
from stpn_data.index import VideoIndex
from stpn_data.sequence import EvalDegrade, evaluation_videos
from stpn_data.support import counted_policy
from stpn_data.transforms import EvalResize
from stpn_vis.config import EvalConfig
from stpn_vis.ground_truth import ground_truth
from stpn_vis.inference import segment_video
from stpn_vis.rle import as_json, as_rle
from stpn_vis.segmenter import Segmenter
from stpn_vis.video_ap import Track, video_ap
from stpn_vis.video_ap.tracks import mean_area


def evaluate(
    model: Segmenter,
    index: VideoIndex,
    config: EvalConfig,
    world: World,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """The metric's numbers (see `VideoAp`) of `model` on `index`, the same on every rank.

    Arguments and errors as in `segment_all`. Raises InputError if nothing is annotated.
    """
    truth = ground_truth(index)
    found = segment_all(
        model, index, config, world, precision=precision, degrade=degrade, stop=stop
    )  # fmt: skip
    return video_ap(truth, found).numbers


def segment_all(
    model: Segmenter,
    index: VideoIndex,
    config: EvalConfig,
    world: World,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Track]:
    """What the model finds in every video of `index`, in their order, on every rank.

    Videos and categories have the ids of the index's file. All ranks must call it. Training mode is
    put back afterwards. stop: asked after each frame; as soon as it says yes on any rank,
    EvaluationStopped is raised on all of them.
    """
    assert index.masks is not None
    videos = evaluation_videos(
        index,
        EvalResize(config.short_side, config.long_side),
        rank=world.rank,
        world_size=world.size,
        degrade=degrade,
        allow_missing=config.allow_missing,
    )
    was_training = model.training
    model.eval()
    rows: list[list[Any]] = []
    pace = Pace(sum(map(len, videos)), alone=world.size == 1, stop=stop)
    total = sum(map(len, videos))
    try:
        with (
            tqdm(total=total, desc="evaluate", unit="frame", disable=not world.is_main) as bar,
            autocast(precision, world.device),
        ):

            def frame_done() -> None:
                bar.update()
                pace.frame_done()

            for video in videos:
                result = segment_video(
                    model,
                    video,
                    counted_policy(config.policy, config.count, config.stride),
                    batch_size=config.batch_size,
                    top=config.top,
                    on_frame=frame_done,
                )
                for score, label, masks in zip(
                    result.scores, result.labels, result.rles, strict=True
                ):
                    rows.append([video.video, int(label), float(score), [*map(as_json, masks)]])
        pace.finish()
    finally:
        model.train(was_training)
    return _tracks(index, gather_values(rows))


def _tracks(index: VideoIndex, ranks: list[list[list[Any]]]) -> list[Track]:
    """Every rank's rows in order of videos: the order, and so every tie, is that of one process."""
    assert index.masks is not None
    tracks = []
    for video, label, score, masks in sorted((r for rows in ranks for r in rows), key=_video):
        rles = tuple(as_rle(mask, 0, 0, "a result") for mask in masks)
        ids = int(index.masks.video_ids[video]), int(index.masks.category_ids[label])
        tracks.append(Track(*ids, rles, mean_area(rles), score))
    return tracks


def _video(row: list[Any]) -> int:
    return int(row[0])
