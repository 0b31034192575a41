"""Training a tracker: what of it the loop of stpn_core asks for."""

from __future__ import annotations

import dataclasses
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
from stpn_data.loader import TrainingLoader, training_loader
from stpn_data.tracking import TrackingBatch
from stpn_vot.batch_loss import BatchLoss
from stpn_vot.config import Recipe
from stpn_vot.config_checks import check_recipe
from stpn_vot.evaluate import evaluate
from stpn_vot.run_state import MAY_CHANGE, prepare
from stpn_vot.start import training_clips, training_indexes, validation_index, with_classes_of
from stpn_vot.tracking_config import TrackingConfig
from stpn_vot.weights import save_tracker


def train(recipe: Recipe, out: str | Path, *, resume: str = "auto") -> int:
    """Train `recipe` in run directory `out`; returns 0, or 128 + signal if it was told to stop.

    resume: "auto" continues a run that is there, a step number continues from that checkpoint,
    "none" refuses a directory that holds one. Errors carry their exit code (see stpn_core.errors).
    """
    check_recipe(recipe)
    return in_run(recipe.run, out, lambda post: _train(recipe, post, resume))


def _train(recipe: Recipe, post: Post, resume: str) -> int:
    clips = training_clips(training_indexes(recipe.data), recipe)
    recipe = with_classes_of(recipe, clips)
    validation = validation_index(recipe)
    state = broadcast_value(continue_run(post.run, recipe, resume, may_change=MAY_CHANGE))
    training = prepare(recipe, post.world, len(clips), resumed=state is not None)

    def open_batches(first: int) -> TrainingLoader[TrackingBatch]:
        return training_loader(
            clips,
            recipe.optim.batch_size,
            seed=recipe.run.seed,
            rank=post.world.rank,
            world_size=post.world.size,
            workers=recipe.data.workers,
            start_batch=first,
            timeout=recipe.data.worker_timeout,
        )

    def write(path: Path, weights: Mapping[str, Tensor]) -> None:
        save_tracker(path, weights, recipe.model, recipe.protocol)

    def validate(stop: Callable[[], bool]) -> Mapping[str, float]:
        assert validation is not None
        model, precision = training.model, recipe.run.precision
        config = tracking(recipe)
        return evaluate(model, validation, config, post.world, precision=precision, stop=stop)

    job = Job(
        name=recipe.name,
        optim=recipe.optim,
        run=recipe.run,
        training=training,
        loss_of=data_parallel(BatchLoss(training.model, recipe.objective), post.world),
        open_batches=open_batches,
        write=write,
        validate=validate if validation is not None else None,
        best="AO",
        shown=("AO", "SR50"),
    )
    return train_steps(job, post, state)


def tracking(recipe: Recipe) -> TrackingConfig:
    """How a recipe's validation tracks: crops of the sizes that the network is trained with."""
    config, model = recipe.eval, recipe.model
    return dataclasses.replace(
        config,
        template_size=config.template_size or model.template_size,
        search_size=config.search_size or model.search_size,
    )
