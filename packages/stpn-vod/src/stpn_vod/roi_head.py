"""Second stage of Faster R-CNN: what is in a region, and where exactly.

R regions, C classes; the background is class C, the last one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_vod.boxes import BoxCoder
from stpn_vod.matching import Matcher
from stpn_vod.postprocess import Postprocess
from stpn_vod.roi_align import REGION_SIZE
from stpn_vod.roi_targets import RegionTargets, region_targets
from stpn_vod.sampling import Sampler


class RoIHead(nn.Module):
    """Two fully connected layers, then class logits and class-specific box deltas.

    coder: what deltas mean. matcher, sampler: which regions to learn from. postprocess: which
    regions to report.
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 256,
        fc_channels: int = 1024,
        *,
        coder: BoxCoder,
        matcher: Matcher,
        sampler: Sampler,
        postprocess: Postprocess,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.coder = coder
        self.matcher = matcher
        self.sampler = sampler
        self.postprocess = postprocess
        self.fc1 = nn.Linear(channels * REGION_SIZE**2, fc_channels)
        self.fc2 = nn.Linear(fc_channels, fc_channels)
        self.classify = nn.Linear(fc_channels, num_classes + 1)
        self.regress = nn.Linear(fc_channels, 4 * num_classes)
        for hidden in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(hidden.weight)
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.normal_(self.regress.weight, std=0.001)
        for layer in (self.fc1, self.fc2, self.classify, self.regress):
            nn.init.zeros_(layer.bias)

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features (R, channels, 7, 7) -> logits (R, C + 1) and deltas (R, C, 4)."""
        hidden = F.relu(self.fc1(regions.flatten(1)))
        return self.predict(F.relu(self.fc2(hidden)))

    def predict(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Region vectors (R, fc_channels) -> logits (R, C + 1) and deltas (R, C, 4)."""
        return self.classify(hidden), self.regress(hidden).unflatten(1, (self.num_classes, 4))

    def targets(
        self,
        proposals: Tensor,
        boxes: Tensor,
        labels: Tensor,
        generator: torch.Generator | None = None,
    ) -> RegionTargets:
        """Regions of one image to learn from, out of its proposals (n, 4) and annotations."""
        return region_targets(
            proposals,
            boxes,
            labels,
            self.num_classes,
            matcher=self.matcher,
            sampler=self.sampler,
            coder=self.coder,
            generator=generator,
        )
