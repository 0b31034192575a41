"""Faster R-CNN whose regions look at those of support frames (SELSA), with or without prompts.

B batch, K support frames, H and W padded size, R regions of a frame, C classes.
Without a prompt predictor it is SELSA. With one, the un-prompted pass over the support serves
twice: its last layer makes the prompts, all of its maps give regions to look at; only the current
frame is prompted.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import torch
from torch import Tensor, nn

from stpn_core import STPN, Features
from stpn_core.encoder import Prompts
from stpn_core.errors import InputError
from stpn_core.support_tokens import support_tokens
from stpn_core.ungraded_pass import uncached_autocast
from stpn_vod.detections import Detections
from stpn_vod.fpn import FeaturePyramid
from stpn_vod.ground_truth import check_ground_truth
from stpn_vod.losses import roi_losses
from stpn_vod.presence import PromptPresence
from stpn_vod.roi_align import pool_regions
from stpn_vod.roi_head import RoIHead
from stpn_vod.rpn import RPN
from stpn_vod.selsa import References, SelsaHead, join_references


class SelsaDetector(nn.Module):
    """The parts of a `FasterRCNN`, under the same names, and the aggregators of SELSA.

    As in the released implementation, the references of a frame are the RPN's test proposals on its
    support frames and, at test, on itself. While training they are those on the support frames
    alone, and its own only where no support frame is valid.
    `stpn.support_grad` decides whether the gradient passes the encoder on the support frames; it
    does in the released implementation. Stochastic depth acts on them while training.
    """

    def __init__(
        self,
        stpn: STPN,
        fpn: FeaturePyramid,
        rpn: RPN,
        roi: RoIHead,
        selsa: SelsaHead,
        *,
        presence: PromptPresence | None = None,
        pad_to: int = 32,
    ) -> None:
        super().__init__()
        self.stpn = stpn
        self.fpn = fpn
        self.rpn = rpn
        self.roi = roi
        self.selsa = selsa
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
        (B, K, 3, H, W) normalised, padded like its image; valid (B, K) bool, None for all. Row b
        looks at the valid frames of row b and at itself.
        """
        features, _, references = self._encode(images, sizes, support, valid)
        return self.detect(features, sizes, references)

    @torch.no_grad()
    def detect(
        self,
        features: Features,
        sizes: Tensor,
        references: Sequence[Sequence[References]] | None = None,
    ) -> list[Detections]:
        """Detections from encoded images.

        sizes (B, 2) h, w before padding. references: for each image those of its support frames, as
        `survey` gives them; its own are added. None for none.
        """
        pyramid = self.fpn(features)
        sizes = sizes.to(pyramid.maps[0].device)
        regions = self._propose(pyramid, sizes)
        given = references if references is not None else [()] * len(regions)
        found = []
        for boxes, first, others, size in zip(
            regions, self._first_layer(pyramid, regions), given, sizes, strict=True
        ):
            own = self.selsa.refer(self.roi, first)
            logits, deltas = self.selsa(self.roi, first, join_references([*others, own]))
            found.append(self.roi.postprocess(self.roi.coder, boxes, logits, deltas, size))
        return found

    def survey(self, frames: Tensor, sizes: Tensor) -> tuple[Tensor | None, list[References]]:
        """What support frames give to others, from one pass without prompts.

        frames (n, 3, H, W) normalised, sizes (n, 2) h, w before padding -> support tokens
        (n, h, w, C_last), None without a prompt predictor, and the references of each frame.
        """
        encoder = self.stpn.encoder
        graded = self.stpn.support_grad and torch.is_grad_enabled()
        with uncached_autocast(frames.device), torch.set_grad_enabled(graded):
            features = encoder(frames)
            tokens = (
                None if self.stpn.predictor is None else support_tokens(encoder, features, frames)
            )
        pyramid = self.fpn(features)
        sizes = sizes.to(frames.device)
        return tokens, self._refer(pyramid, self._propose(pyramid, sizes))

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
        """Losses of a training step on the current frames; see `FasterRCNN.loss`."""
        check_ground_truth(boxes, labels, sizes, self.roi.num_classes)
        features, prompts, references = self._encode(images, sizes, support, valid)
        pyramid = self.fpn(features)
        sizes = sizes.to(images.device)
        dense = self.rpn(pyramid, sizes)
        losses = self.rpn.loss(dense, boxes, generator)
        proposals = self.rpn.propose(dense, sizes, self.rpn.selection.train_limit)
        targets = [
            self.roi.targets(proposed.boxes, box, label, generator)
            for proposed, box, label in zip(proposals, boxes, labels, strict=True)
        ]
        looked_at = self._own_where_none(references, pyramid, sizes)
        first_layer = self._first_layer(pyramid, [image.regions for image in targets])
        predictions = [
            self.selsa(self.roi, first, join_references(others))
            for first, others in zip(first_layer, looked_at, strict=True)
        ]
        losses |= roi_losses(
            torch.cat([logits for logits, _ in predictions]),
            torch.cat([deltas for _, deltas in predictions]),
            torch.cat([image.labels for image in targets]),
            torch.cat([image.deltas for image in targets]),
        )
        if self.presence is not None:
            if prompts is None or support_labels is None:
                raise InputError(
                    "the auxiliary prompt loss needs support frames and support_labels; "
                    "give both, or train with its weight 0"
                )
            has_prompt = None if valid is None else valid.any(dim=1)
            losses["loss_prompt_aux"] = self.presence.loss(prompts, support_labels, has_prompt)
        return losses

    def _encode(
        self, images: Tensor, sizes: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> tuple[Features, Prompts | None, list[list[References]]]:
        """Current frames with their prompts, and the references of each row's valid frames."""
        if support is None or support.shape[1] == 0:
            return self.stpn.encoder(images), None, [[] for _ in images]
        valid = _checked_valid(images, support, valid)
        frames = support.masked_fill(~valid[:, :, None, None, None], 0).flatten(0, 1)
        tokens, references = self.survey(frames, sizes.repeat_interleave(valid.shape[1], dim=0))
        count = valid.shape[1]
        rows = [
            list(compress(references[row * count : (row + 1) * count], there))
            for row, there in enumerate(valid.tolist())
        ]
        if tokens is None:
            return self.stpn.encoder(images), None, rows
        prompts = self.stpn.predict_prompts(tokens.unflatten(0, valid.shape), valid)
        return self.stpn.encode(images, prompts, valid.any(dim=1)), prompts, rows

    def _own_where_none(
        self, references: Sequence[Sequence[References]], pyramid: Features, sizes: Tensor
    ) -> list[Sequence[References]]:
        if all(references):
            return list(references)
        own = self._refer(pyramid, self._propose(pyramid, sizes))
        return [given or [mine] for given, mine in zip(references, own, strict=True)]

    @torch.no_grad()
    def _propose(self, pyramid: Features, sizes: Tensor) -> list[Tensor]:
        """Regions (R_b, 4) of each image, as at test."""
        with uncached_autocast(pyramid.maps[0].device):
            dense = self.rpn(pyramid, sizes)
        proposals = self.rpn.propose(dense, sizes, self.rpn.selection.test_limit)
        return [image.boxes for image in proposals]

    def _refer(self, pyramid: Features, regions: Sequence[Tensor]) -> list[References]:
        return [self.selsa.refer(self.roi, first) for first in self._first_layer(pyramid, regions)]

    def _first_layer(self, pyramid: Features, regions: Sequence[Tensor]) -> list[Tensor]:
        """Regions (R_b, 4) of each image -> (R_b, fc_channels) behind the first hidden layer.

        One image at a time: how a product is rounded may depend on its number of rows, and so on
        how many regions the other images have.
        """
        pooled = pool_regions(pyramid, regions).split([len(image) for image in regions])
        return [self.roi.fc1(image.flatten(1)) for image in pooled]


def _checked_valid(images: Tensor, support: Tensor, valid: Tensor | None) -> Tensor:
    if support.ndim != 5 or len(support) != len(images):
        raise InputError(
            f"support frames must be (B={len(images)}, K, 3, H, W), got {tuple(support.shape)}"
        )
    shape = support.shape[:2]
    if valid is None:
        return torch.ones(shape, dtype=torch.bool, device=support.device)
    if valid.shape != shape or valid.dtype != torch.bool:
        raise InputError(
            f"valid must be bool of shape {tuple(shape)}, got {valid.dtype} of {tuple(valid.shape)}"
        )
    return valid
