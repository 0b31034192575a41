"""Recipes: each function returns one complete configuration.

`got10k_cvt21_1k` and `_22k` train on GOT-10k from CvT-21 weights of ImageNet-1k or -22k; with `_paper`
as the paper says. Training has two stages: the recipe of that name trains boxes; with `_scores`, started
from what that gave, the score head. With `_static` prompts are learned and see no other frame: the
control. `finetune_predictor` starts from a MixFormer, `full_cvt21_22k` trains on more data.

`own`, `synthetic` and `tiny` are small ones. Every recipe has a matched prompt-free twin
(`twin(recipe)`, `--twin` on the command line): the same start, clips and schedule, no prompts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from stpn_core.command import pick_recipe, preset, replace_in
from stpn_core.training.config import OptimConfig, RunConfig
from stpn_vot.build_config import TrackerConfig
from stpn_vot.config import DataConfig, ObjectiveConfig, Recipe, static
from stpn_vot.tracking_config import TrackingConfig

CVT_1K, CVT_22K = "CvT-21-384x384-IN-1k.pth", "CvT-21-384x384-IN-22k.pth"
"""Microsoft's classifiers, to download; `microsoft/cvt-21-384` and `-22k` on the Hub hold the same."""
MIXFORMER = "mixformer_cvt_online_22k_got.pth.tar"
"""MixFormer trained on GOT-10k from ImageNet-22k, as its authors publish it."""


def got10k_cvt21_1k() -> Recipe:
    """CvT-21 of ImageNet-1k on GOT-10k, first stage: boxes. Our recommendation.

    stpn vot train got10k_cvt21_1k --out runs/boxes --data.root GOT-10k --init CvT-21-384x384-IN-1k.pth
    stpn vot train got10k_cvt21_1k_scores --out runs/scores --data.root GOT-10k --init runs/boxes

    MixFormer's schedule: 500 epochs of 60,000 clips, learning rate 1e-4, here also in the encoder;
    batches of 32, which its authors have on each of 8 GPUs. That is 30 million clips, weeks of one GPU:
    `finetune_predictor` is the short way. Without weights for the encoder the tracker learns nothing.
    Validates on the official validation split, none of whose sequences is trained on. Differs from
    MixFormer besides the prompts: bf16, and norms do not decay; from the paper: its learning rate
    (`got10k_cvt21_1k_paper`), and an auxiliary loss on the prompts.
    Expected after both stages: the paper reports 72.7 AO on the test split for its setting, and
    MixFormer 71.2; not measured by us.
    """
    return Recipe(
        name="got10k_cvt21_1k",
        model=TrackerConfig(score=False, predictor_options={"num_heads": 4}, prompt_aux=0.1),
        init=CVT_1K,
        protocol="got10k",
        optim=OptimConfig(
            lr=1e-4, weight_decay=1e-4, no_bias_decay=False, batch_size=32, epochs=500,
            drop_at=(0.8,), warmup_steps=0, clip_norm=0.1,
        ),
        eval=TrackingConfig(interval=10, slots=3, decay=1.0),
        run=RunConfig(precision="bf16", validate_every=20_000),
    )  # fmt: skip


def got10k_cvt21_22k() -> Recipe:
    """CvT-21 of ImageNet-22k on GOT-10k, first stage. The paper reports 71.8 AO; not measured by us.

    As `got10k_cvt21_1k`, but the encoder learns at a tenth of the rate, as MixFormer's does.
    """
    recipe = replace_in(got10k_cvt21_1k(), "optim", encoder_lr=0.1)
    recipe = replace_in(recipe, "eval", slots=2, decay=0.98)
    return dataclasses.replace(recipe, name="got10k_cvt21_22k", init=CVT_22K)


def full_cvt21_22k() -> Recipe:
    """CvT-21 of ImageNet-22k on GOT-10k, LaSOT, TrackingNet and COCO, first stage. Not measured.

    stpn vot train full_cvt21_22k --out runs/full --data.root GOT-10k --data.lasot LaSOT \\
        --data.trackingnet TrackingNet --data.coco COCO --init CvT-21-384x384-IN-22k.pth

    Each set is drawn as often as the others (`data.weights`), as by MixFormer. Results are of another
    protocol and not to be set beside those of GOT-10k alone.
    """
    return dataclasses.replace(got10k_cvt21_22k(), name="full_cvt21_22k", protocol="full")


def finetune_predictor() -> Recipe:
    """Prompts for a MixFormer that is there: the predictor alone, five epochs.

    stpn vot train finetune_predictor --out runs/prompts --data.root GOT-10k \\
        --init mixformer_cvt_online_22k_got.pth.tar --protocol got10k

    `--protocol` says what the MixFormer was trained on, which its file does not. Encoder and heads stay
    as they are, the score head, too, which then sees other features: `got10k_cvt21_22k_scores --init
    runs/prompts` trains it anew. `--objective.freeze --optim.lr 1e-5 --optim.predictor-lr 100` lets
    encoder and box head learn slowly besides. Not measured.
    """
    recipe = replace_in(got10k_cvt21_22k(), "model", score=True)
    recipe = replace_in(recipe, "objective", freeze=("encoder", "box_head"))
    recipe = replace_in(
        recipe, "optim", lr=1e-3, encoder_lr=1.0, epochs=5.0, warmup_steps=200, warmup_ratio=0.01
    )
    recipe = replace_in(recipe, "run", validate_every=0)
    return dataclasses.replace(
        recipe, name="finetune_predictor", init=MIXFORMER, protocol="unknown"
    )


def paper(recipe: Recipe) -> Recipe:
    """As the paper says: learning rate 1e-3 in the first stage. Not measured by us.

    What it leaves open is MixFormer's; no auxiliary loss, fp32.
    """
    recipe = replace_in(recipe, "model", prompt_aux=0.0)
    recipe = replace_in(recipe, "optim", lr=1e-3)
    recipe = replace_in(recipe, "run", precision="fp32")
    return dataclasses.replace(recipe, name=f"{recipe.name}_paper")


def scores(recipe: Recipe) -> Recipe:
    """Second stage: the score head alone, 40 epochs. Start it from the first: --init RUN."""
    model = dataclasses.replace(
        recipe.model, score=True, frozen_head_norms=True, prompt_aux=0.0, num_classes=0
    )
    recipe = replace_in(recipe, "objective", stage="scores", freeze=())
    recipe = replace_in(recipe, "optim", lr=1e-4, encoder_lr=1.0, epochs=40.0, drop_at=(0.75,))
    return dataclasses.replace(recipe, name=f"{recipe.name}_scores", model=model, init="")


def own() -> Recipe:
    """Your own targets: CvT-21, boxes and scores at once, a few thousand steps on one GPU.

    stpn vot train own --out runs/own --data.root my_videos --init CvT-21-384x384-IN-1k.pth

    Boxes need identities. `--init` takes a MixFormer checkpoint, too, which is the better start. A
    tenth of the videos is left out to validate on. Expect to change `optim.steps` first.
    """
    return Recipe(
        name="own",
        model=TrackerConfig(predictor_options={"num_heads": 4}),
        objective=ObjectiveConfig(stage="both"),
        data=DataConfig(train_split="train[:90%]", val_split="train[90%:]", negatives=0.2),
        optim=OptimConfig(
            lr=1e-4, weight_decay=1e-4, encoder_lr=0.1, batch_size=16, steps=5000,
            drop_at=(0.8,), warmup_steps=200, warmup_ratio=0.01, clip_norm=0.1,
        ),
        run=RunConfig(precision="bf16", validate_every=1000),
    )  # fmt: skip


def synthetic() -> Recipe:
    """Small tracker for `stpn data synthesize --layout got10k`, for a CPU.

    stpn data synthesize targets --layout got10k
    stpn vot train synthetic --out runs/a --data.root targets

    From random weights, and quick: little jitter, so that it does not learn to find targets again.
    """
    return Recipe(
        name="synthetic",
        model=TrackerConfig(
            encoder="cvt",
            arch={"dims": (32, 64, 128), "depths": (1, 1, 2), "num_heads": (1, 2, 4)},
            template_size=64, search_size=128, drop_path=0.0, head_channels=128, score_heads=4,
            predictor_options={"num_heads": 4}, support_grad=True,
        ),
        objective=ObjectiveConfig(stage="both"),
        data=DataConfig(
            samples=2000, negatives=0.1, search_factor=4.0, scale_jitter=0.1, centre_jitter=1.5,
            parity=False, grey=0.0, crop_flip=0.0, workers=0,
        ),
        optim=OptimConfig(
            lr=1e-3, weight_decay=1e-4, batch_size=16, steps=600, drop_at=(0.75,), warmup_steps=30,
            warmup_ratio=0.01, clip_norm=1.0,
        ),
        eval=TrackingConfig(search_factor=4.0, support_count=4),
        run=RunConfig(save_every=200, log_every=10),
    )  # fmt: skip


def tiny() -> Recipe:
    """Smallest tracker that learns: it follows the sequences it was trained on. For a CPU.

    stpn vot train tiny --out runs/tiny --data.root GOT-10k

    For a handful of sequences, on which it validates, too. Boxes alone, hardly any jitter, nothing
    recoloured or mirrored: it learns these targets by heart. Measured: AO 0.74 after 300 steps on the
    seven sequences (416 frames) that it was trained on; a box that never moves has 0.38.
    """
    recipe = synthetic()
    return dataclasses.replace(
        recipe,
        name="tiny",
        model=TrackerConfig(
            encoder="cvt",
            arch={"dims": (16, 32, 64), "depths": (1, 1, 2), "num_heads": (1, 2, 4)},
            template_size=48, search_size=96, drop_path=0.0, head="pyramid", head_channels=64,
            score=False, predictor_options={"num_heads": 4},
        ),
        objective=ObjectiveConfig(stage="boxes"),
        data=dataclasses.replace(
            recipe.data, samples=4000, val_split="train", support_count=1, search_factor=3.0,
            centre_jitter=1.0, flip=0.0, brightness=0.0,
        ),
        optim=dataclasses.replace(recipe.optim, steps=300, drop_at=(0.8,), clip_norm=5.0),
        eval=dataclasses.replace(recipe.eval, search_factor=3.0),
    )  # fmt: skip


_GOT10K: tuple[Callable[[], Recipe], ...] = (got10k_cvt21_1k, got10k_cvt21_22k)
_FIRST = (*_GOT10K, *(preset(paper, make) for make in _GOT10K), full_cvt21_22k)
_STAGES = tuple(each for make in _FIRST for each in (make, preset(scores, make)))
_MAKERS = (
    *(each for make in _STAGES for each in (make, preset(static, make))),
    finetune_predictor,
    own,
    synthetic,
    tiny,
)
RECIPES: dict[str, Callable[[], Recipe]] = {make.__name__: make for make in _MAKERS}
"""Every recipe by the name it has on the command line."""


def get_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises InputError naming the nearest one."""
    return pick_recipe(name, RECIPES)
