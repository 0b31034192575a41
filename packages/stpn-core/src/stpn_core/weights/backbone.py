"""Starting an encoder from weights that other training runs left: `init: coco_maskrcnn`, a path."""

from __future__ import annotations

import os
from pathlib import Path

from stpn_core.encoder import PromptedEncoder
from stpn_core.errors import InputError
from stpn_core.weights.checkpoint import read_checkpoint
from stpn_core.weights.conversion import convert_encoder
from stpn_core.weights.load import LoadReport, load_state

_RELEASES = "https://github.com/SwinTransformer/storage/releases/download"
# Where the published initial weights of each encoder are. Nothing is fetched: see `init_file`.
PUBLISHED = {
    "coco_maskrcnn": {
        "swin_tiny": f"{_RELEASES}/v1.0.2/mask_rcnn_swin_tiny_patch4_window7.pth",
        "swin_small": f"{_RELEASES}/v1.0.2/mask_rcnn_swin_small_patch4_window7.pth",
        "swin_base": f"{_RELEASES}/v1.0.2/cascade_mask_rcnn_swin_base_patch4_window7.pth",
    },
    "imagenet1k": {
        "swin_tiny": f"{_RELEASES}/v1.0.0/swin_tiny_patch4_window7_224.pth",
        "swin_small": f"{_RELEASES}/v1.0.0/swin_small_patch4_window7_224.pth",
        "swin_base": f"{_RELEASES}/v1.0.0/swin_base_patch4_window7_224.pth",
        "swin_large": f"{_RELEASES}/v1.0.0/swin_large_patch4_window7_224_22k.pth",
    },
}


def load_backbone(
    encoder: PromptedEncoder,
    source: str | Path,
    *,
    architecture: str | None = None,
    allow_nan: bool = False,
) -> LoadReport:
    """Start an encoder from a file in any layout that `convert_encoder` knows, or from our own.

    source: a path, or "coco_maskrcnn" or "imagenet1k" for a published file that lies in the weights
        folder (see `init_file`); then `architecture` names the encoder ("swin_tiny").

    Output norms, which classifiers do not have, and a feature pyramid may be missing; they keep
    their initial values and are listed in the report. Task heads and predictors are left aside.

    Raises:
        InputError: no such file, not weights, or not of this encoder.
    """
    path = init_file(str(source), architecture) if str(source) in PUBLISHED else Path(source)
    checkpoint = read_checkpoint(path, allow_nan=allow_nan)
    state = {
        key.removeprefix("encoder."): tensor
        for key, tensor in convert_encoder(checkpoint.state, where=str(path)).items()
        if key.startswith("encoder.")
    }
    what = f"the encoder, from {path}"
    return load_state(encoder, state, what=what, optional=("norms.", "pyramid."))


def init_file(init: str, architecture: str | None) -> Path:
    """Path of published initial weights in the weights folder.

    The folder is `$STPN_WEIGHTS`, or `stpn/weights` in the user's cache folder.

    Raises:
        InputError: nothing is published for this encoder, or the file is not there; says what to
            download and where to put it.
    """
    files = PUBLISHED[init]
    if architecture not in files:
        raise InputError(
            f"init '{init}' is published for {', '.join(files)}, not for {architecture!r}; "
            "give the path of a file instead"
        )
    url = files[architecture]
    path = weights_folder() / url.rsplit("/", 1)[1]
    if not path.exists():
        raise InputError(
            f"init '{init}' for {architecture} needs a file that is not there. Download\n  {url}\n"
            f"and put it at\n  {path}\n(STPN_WEIGHTS names another folder), or give a path as init"
        )
    return path


def weights_folder() -> Path:
    """Where published weights are looked for."""
    named = os.environ.get("STPN_WEIGHTS")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "stpn" / "weights"
