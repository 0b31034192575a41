"""Faster R-CNN whose backbone sees the video through prompts.

B batch, K support frames, H and W padded size, R regions, C classes (the background is class C).
The stages are plain calls (encode -> fpn -> rpn -> propose -> pool_regions -> roi -> postprocess),
so that a head which lets regions of different frames meet can stand between pooling and prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stpn_core import STPN, Features
from stpn_core.encoder import Prompts
from stpn_core.errors import InputError
from stpn_vod.detections import Detections
from stpn_vod.fpn import FeaturePyramid
from stpn_vod.ground_truth import check_ground_truth
from stpn_vod.losses import roi_losses
from stpn_vod.presence import PromptPresence
from stpn_vod.roi_align import pool_regions
from stpn_vod.roi_head import RoIHead
from stpn_vod.rpn import RPN


class FasterRCNN(nn.Module):
    """Feature pyramid, region proposals and region head on an STPN.

    With `stpn.predictor` None, or without support, it is the ordinary single-frame detector.
    presence: auxiliary loss on the prompts while training; None for none.
    pad_to: what frames are padded to multiples of; not used here, but by whoever prepares them.
    """

    def __init__(
        self,
        stpn: STPN,
        fpn: FeaturePyramid,
        rpn: RPN,
        roi: RoIHead,
        *,
        presence: PromptPresence | None = None,
        pad_to: int = 32,
    ) -> None:
        super().__init__()
        self.stpn = stpn
        self.fpn = fpn
        self.rpn = rpn
        self.roi = roi
        self.presence = presence
        self.pad_to = pad_to

    @torch.no_grad()
    def forward(
        self,
        images: Tensor,
        sizes: Tensor,
        support: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> list[Detections]:
        """Detections of each image, in network pixels.

        images (B, 3, H, W) normalised, zero where padded; sizes (B, 2) h, w before padding; support
        (B, K, 3, H, W) normalised; valid (B, K) bool, None for all.
        """
        return self.detect(self.stpn(images, support, valid), sizes)

    @torch.no_grad()
    def detect(self, features: Features, sizes: Tensor) -> list[Detections]:
        """Detections from encoded images, as a stream gives; sizes (B, 2) h, w before padding."""
        pyramid = self.fpn(features)
        sizes = sizes.to(pyramid.maps[0].device)
        dense = self.rpn(pyramid, sizes)
        proposals = self.rpn.propose(dense, sizes, self.rpn.selection.test_limit)
        regions = [image.boxes for image in proposals]
        logits, deltas = self.roi(pool_regions(pyramid, regions))
        return self.postprocess(regions, logits, deltas, sizes)

    def postprocess(
        self, regions: Sequence[Tensor], logits: Tensor, deltas: Tensor, sizes: Tensor
    ) -> list[Detections]:
        """Regions (R_b, 4) of each image with logits (R, C + 1) and deltas (R, C, 4) of all."""
        counts = [len(image) for image in regions]
        per_image = zip(regions, logits.split(counts), deltas.split(counts), sizes, strict=True)
        return [self.roi.postprocess(self.roi.coder, *image) for image in per_image]

    def loss(
        self,
        images: Tensor,
        sizes: Tensor,
        boxes: Sequence[Tensor],
        labels: Sequence[Tensor],
        support: Tensor | None = None,
        valid: Tensor | None = None,
        *,
        support_labels: Sequence[Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a training step: loss_rpn_cls, loss_rpn_bbox, loss_cls, loss_bbox, and
        loss_prompt_aux where the model has a presence head. Their sum is what to minimise.

        Inputs as in `forward`; boxes (G_b, 4) in network pixels and labels (G_b,) int64 from 0 for
        each image, both may be empty; support_labels (m_b,) classes that the support frames show.
        Regions are drawn from `generator`, or from the device's global one.
        Raises InputError before the first layer runs if an annotation is unusable.
        """
        check_ground_truth(boxes, labels, sizes, self.roi.num_classes)
        features, prompts = self._encode(images, support, valid)
        pyramid = self.fpn(features)
        sizes = sizes.to(images.device)
        dense = self.rpn(pyramid, sizes)
        losses = self.rpn.loss(dense, boxes, generator)
        proposals = self.rpn.propose(dense, sizes, self.rpn.selection.train_limit)
        targets = [
            self.roi.targets(proposed.boxes, box, label, generator)
            for proposed, box, label in zip(proposals, boxes, labels, strict=True)
        ]
        logits, deltas = self.roi(pool_regions(pyramid, [image.regions for image in targets]))
        region_labels = torch.cat([image.labels for image in targets])
        losses |= roi_losses(
            logits, deltas, region_labels, torch.cat([image.deltas for image in targets])
        )
        if self.presence is not None:
            losses["loss_prompt_aux"] = self._presence_loss(prompts, support_labels, valid)
        return losses

    def _encode(
        self, images: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> tuple[Features, Prompts | None]:
        if self.presence is None or support is None or support.shape[1] == 0:
            return self.stpn(images, support, valid), None
        prompts = self.stpn.predict_prompts(self.stpn.embed_support(support, valid), valid)
        has_prompt = None if valid is None else valid.any(dim=1)
        return self.stpn.encode(images, prompts, has_prompt), prompts

    def _presence_loss(
        self,
        prompts: Prompts | None,
        support_labels: Sequence[Tensor] | None,
        valid: Tensor | None,
    ) -> Tensor:
        if self.presence is None or prompts is None or support_labels is None:
            raise InputError(
                "the auxiliary prompt loss needs support frames and support_labels; "
                "give both, or train with its weight 0"
            )
        return self.presence.loss(
            prompts, support_labels, None if valid is None else valid.any(dim=1)
        )
