"""Training a segmenter: what of it the loop of stpn_core asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from stpn_core.training import (
    Job,
    Post,
    broadcast_value,
    continue_run,
    data_parallel,
    in_run,
    train_steps,
)
from stpn_data.batch import Batch
from stpn_data.loader import TrainingLoader, training_loader
from stpn_vis.batch_loss import BatchLoss
from stpn_vis.config import Recipe
from stpn_vis.config_checks import check_recipe
from stpn_vis.evaluate import evaluate
from stpn_vis.run_state import MAY_CHANGE, prepare
from stpn_vis.start import training_clips, training_videos, validation_index, with_classes_of
from stpn_vis.weights import save_segmenter


def train(recipe: Recipe, out: str | Path, *, resume: str = "auto") -> int:
    """Train `recipe` in run directory `out`; returns 0, or 128 + signal if it was told to stop.

    resume: "auto" continues a run that is there, a step number continues from that checkpoint,
    "none" refuses a directory that holds one. Errors carry their exit code (see stpn_core.errors).
    """
    check_recipe(recipe)
    return in_run(recipe.run, out, lambda post: _train(recipe, post, resume))


def _train(recipe: Recipe, post: Post, resume: str) -> int:
    index = training_videos(recipe)
    recipe = with_classes_of(recipe, index)
    validation = validation_index(recipe, index.classes)
    clips = training_clips(index, recipe)
    state = broadcast_value(continue_run(post.run, recipe, resume, may_change=MAY_CHANGE))
    training = prepare(recipe, post.world, len(clips), index.classes, resumed=state is not None)

    def open_batches(first: int) -> TrainingLoader[Batch]:
        return training_loader(
            clips,
            recipe.optim.batch_size,
            seed=recipe.run.seed,
            rank=post.world.rank,
            world_size=post.world.size,
            workers=recipe.data.workers,
            start_batch=first,
            group_by_aspect=recipe.data.group_by_aspect,
            timeout=recipe.data.worker_timeout,
        )

    def write(path: Path, weights: Mapping[str, Tensor]) -> None:
        save_segmenter(path, weights, recipe.model, index.classes)

    def validate(stop: Callable[[], bool]) -> Mapping[str, float]:
        assert validation is not None
        model, precision = training.model, recipe.run.precision
        return evaluate(model, validation, recipe.eval, post.world, precision=precision, stop=stop)

    job = Job(
        name=recipe.name,
        optim=recipe.optim,
        run=recipe.run,
        training=training,
        loss_of=data_parallel(BatchLoss(training.model), post.world),
        open_batches=open_batches,
        write=write,
        validate=validate if validation is not None else None,
        best="AP",
        shown=("AP", "AP50"),
    )
    return train_steps(job, post, state)
