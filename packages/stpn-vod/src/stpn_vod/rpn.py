"""Region proposal network (Ren et al. 2015) over a feature pyramid.

B batch, A anchors of all levels, finest level first and in the order y, x, ratio.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core import Features
from stpn_vod.anchors import RATIOS
from stpn_vod.boxes import BoxCoder
from stpn_vod.dense import DensePredictions, dense_predictions
from stpn_vod.losses import box_regression_loss, objectness_loss
from stpn_vod.matching import IGNORED, Matcher
from stpn_vod.proposals import Proposals, ProposalSelection
from stpn_vod.sampling import Sampler


class RPN(nn.Module):
    """3×3 convolution with ReLU, then one logit and four deltas for each anchor.

    The box coder has unit deviations; an anchor needs IoU 0.7 to be an object, or to be an object's
    best with at least 0.3, and is background below 0.3.
    pad_to: what a frame alone is padded to multiples of.
    """

    coder = BoxCoder()
    matcher = Matcher(positive=0.7, negative=0.3, low_quality=0.3)

    def __init__(
        self,
        channels: int = 256,
        *,
        sampler: Sampler,
        selection: ProposalSelection,
        pad_to: int = 32,
    ) -> None:
        super().__init__()
        self.pad_to = pad_to
        self.sampler = sampler
        self.selection = selection
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, len(RATIOS), 1)
        self.deltas = nn.Conv2d(channels, 4 * len(RATIOS), 1)
        for name, parameter in self.named_parameters():
            nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.normal_(
                parameter, std=0.01
            )

    def forward(self, pyramid: Features, sizes: Tensor) -> DensePredictions:
        """Predictions for images of sizes (B, 2) h, w pixels before padding."""
        hidden = [F.relu(self.conv(level)) for level in pyramid.maps]
        return dense_predictions(
            pyramid,
            [self.objectness(level) for level in hidden],
            [self.deltas(level) for level in hidden],
            sizes,
            self.pad_to,
        )

    def propose(self, dense: DensePredictions, sizes: Tensor, limit: int) -> list[Proposals]:
        """At most `limit` regions for each image; no gradient flows into them."""
        with torch.no_grad():
            return self.selection(self.coder, dense, sizes, limit)

    def match(self, dense: DensePredictions, row: int, boxes: Tensor) -> Tensor:
        """(A,) matches of the anchors of one image with its annotated boxes (G, 4)."""
        on_image = dense.on_image[row]
        matches = torch.full_like(on_image, IGNORED, dtype=torch.int64)
        matches[on_image] = self.matcher(boxes, dense.anchors[on_image])
        return matches

    def loss(
        self,
        dense: DensePredictions,
        boxes: Sequence[Tensor],
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Annotated boxes (G_b, 4) of each image -> loss_rpn_cls, loss_rpn_bbox.

        Both divide by the sampled anchors of the batch, where an image without positives (or
        negatives) counts one of them all the same, as the released implementation does.
        """
        objectness, regression, sampled = [], [], 0
        for row, annotated in enumerate(boxes):
            matches = self.match(dense, row, annotated)
            positive, negative = self.sampler(matches, generator)
            both = torch.cat([positive, negative])
            is_object = torch.arange(len(both), device=both.device) < len(positive)
            targets = self.coder.encode(dense.anchors[positive], annotated[matches[positive]])
            objectness.append(objectness_loss(dense.logits[row, both], is_object))
            regression.append(box_regression_loss(dense.deltas[row, positive], targets))
            sampled += max(len(positive), 1) + max(len(negative), 1)
        return {
            "loss_rpn_cls": torch.stack(objectness).sum() / sampled,
            "loss_rpn_bbox": torch.stack(regression).sum() / sampled,
        }
