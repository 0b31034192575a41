"""What one detector makes of one frame: its pyramid, its detections, the prompts and their support.

H x W padded size, h x w grid of support tokens, C their channels, K support frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core import Features
from stpn_core.encoder import Prompts
from stpn_core.errors import NumericsError
from stpn_data.sequence import EvalFrame
from stpn_data.support import Policy
from stpn_vod.detections import Detections
from stpn_vod.model_file import TrainedDetector
from stpn_vod.network_input import to_network
from stpn_vod.selsa import References
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.video_inference import SupportCache


@dataclass(frozen=True, eq=False)
class Arm:
    """One column of the comparison. prompted False: its prompts, if it has any, are left out."""

    title: str
    detector: TrainedDetector
    prompted: bool = True


@dataclass(frozen=True, eq=False)
class View:
    """A frame as `arm` sees it.

    image (1, 3, H, W) normalised; size h, w of the frame before padding, in network pixels; support:
    places in the video of the frames that made the prompts; tokens (1, K, h, w, C) of these.
    """

    arm: Arm
    frame: EvalFrame
    image: Tensor
    size: tuple[int, int]
    features: Features
    pyramid: Features
    prompts: Prompts | None
    support: tuple[int, ...]
    tokens: Tensor | None
    references: list[References]


@torch.no_grad()
def look(arm: Arm, cache: SupportCache, policy: Policy, t: int) -> View:
    """Encode frame t of the cache's video. The cache, which belongs to the arm's detector, is asked
    from front to back. Raises NumericsError if a feature is not finite."""
    model = arm.detector.model
    frame = cache.video.frame(t)
    size = (frame.image.shape[1], frame.image.shape[2])
    selsa = isinstance(model, SelsaDetector)
    if selsa or (arm.prompted and model.stpn.predictor is not None):
        cache.gather(policy.indices(t, len(cache.video)), size)
    prompts = cache.prompts if arm.prompted else None
    tokens = None
    if prompts is not None:
        tokens = torch.cat([cache.tokens[place] for place in cache.support], dim=1)
    image = to_network(model, frame.image)[None]
    features = model.stpn.encode(image, prompts)
    pyramid = model.fpn(features)
    if not all(bool(level.isfinite().all()) for level in pyramid.maps):
        raise NumericsError(
            f"frame {frame.name}: features of {arm.detector.source} are NaN or infinite, so there is "
            "nothing to explain; evaluate the weights first"
        )
    return View(
        arm=arm,
        frame=frame,
        image=image,
        size=size,
        features=features,
        pyramid=pyramid,
        prompts=prompts,
        support=tuple(place for place, _ in cache.support) if prompts is not None else (),
        tokens=tokens,
        references=cache.references,
    )


@torch.no_grad()
def detections(view: View) -> Detections:
    """What the detector finds, in network pixels."""
    model, sizes = view.arm.detector.model, torch.tensor([view.size])
    if isinstance(model, SelsaDetector):
        return model.detect(view.features, sizes, [view.references])[0].to("cpu")
    return model.detect(view.features, sizes)[0].to("cpu")
