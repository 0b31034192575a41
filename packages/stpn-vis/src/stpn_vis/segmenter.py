"""MinVIS (Mask2Former, frame by frame) whose backbone sees the video through prompts.

B batch, K support frames, H and W padded size, Q queries, C classes ("no object" is class C),
D query width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stpn_core import STPN, Features
from stpn_core.encoder import Prompts
from stpn_core.errors import InputError
from stpn_core.presence import PromptPresence
from stpn_vis.criterion import Criterion
from stpn_vis.pixel_decoder import PixelDecoder
from stpn_vis.predictions import FramePredictions, Target
from stpn_vis.query_decoder import QueryDecoder
from stpn_vis.targets import checked_targets


class Segmenter(nn.Module):
    """Pixel decoder and query decoder on an STPN.

    With `stpn.predictor` None, or without support, it is plain MinVIS.
    presence: auxiliary loss on the prompts while training; None for none.
    """

    def __init__(
        self,
        stpn: STPN,
        pixel_decoder: PixelDecoder,
        decoder: QueryDecoder,
        criterion: Criterion,
        *,
        presence: PromptPresence | None = None,
    ) -> None:
        super().__init__()
        self.stpn = stpn
        self.pixel_decoder = pixel_decoder
        self.decoder = decoder
        self.criterion = criterion
        self.presence = presence

    @torch.no_grad()
    def forward(
        self, images: Tensor, support: Tensor | None = None, valid: Tensor | None = None
    ) -> FramePredictions:
        """What the last layer predicts for each image.

        images (B, 3, H, W) normalised, padded with zeros to multiples of 32; support
        (B, K, 3, H, W) likewise; valid (B, K) bool, None for all.
        """
        return self.decode(self.stpn(images, support, valid))

    @torch.no_grad()
    def decode(self, features: Features) -> FramePredictions:
        """What the last layer predicts from encoded images, as a stream gives them."""
        mask_features, levels = self.pixel_decoder(features)
        embeddings = self.decoder(mask_features, levels)[-1]
        return FramePredictions(
            self.decoder.classify(embeddings).float(),
            self.decoder.masks(embeddings, mask_features).float(),
            embeddings.float(),
        )

    def loss(
        self,
        images: Tensor,
        targets: Sequence[Target],
        support: Tensor | None = None,
        valid: Tensor | None = None,
        *,
        support_labels: Sequence[Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Weighted losses of a training step, whose sum is to be minimised; see `Criterion` for
        their names. loss_prompt_aux joins them where the model has a presence head.

        Inputs as in `forward`; one target per image, objects may be missing altogether;
        support_labels (m_b,) classes that the support frames show. Points are drawn from
        `generator`, or from the device's global one.
        Raises InputError before the first layer runs if an annotation is unusable.
        """
        classes = self.decoder.classifier.out_features - 1
        targets = checked_targets(targets, images, classes)
        features, prompts = self._encode(images, support, valid)
        mask_features, levels = self.pixel_decoder(features)
        normed = self.decoder(mask_features, levels)
        losses = self.criterion(
            [self.decoder.classify(queries).float() for queries in normed],
            [self.decoder.masks(queries, mask_features).float() for queries in normed],
            targets,
            lambda shape: torch.rand(shape, device=images.device, generator=generator),
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
