"""Losses of the two stages, always in float32."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from stpn_vod.boxes import at_least_float32

SMOOTH_L1_BETA = 1 / 9


def box_regression_loss(deltas: Tensor, targets: Tensor) -> Tensor:
    """Sum of smooth L1 over (n, 4) deltas; 0 for none, still connected to `deltas`."""
    return F.smooth_l1_loss(at_least_float32(deltas), targets, reduction="sum", beta=SMOOTH_L1_BETA)


def objectness_loss(logits: Tensor, positive: Tensor) -> Tensor:
    """Sum of the binary cross entropy over (n,) logits against (n,) bool."""
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, positive.to(logits), reduction="sum")


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum of the softmax cross entropy over (n, C + 1) logits; the label C is the background."""
    return F.cross_entropy(at_least_float32(logits), labels, reduction="sum")


def roi_losses(
    logits: Tensor, deltas: Tensor, labels: Tensor, targets: Tensor
) -> dict[str, Tensor]:
    """Losses of the RoI head over all R regions of the batch.

    logits (R, C + 1), deltas (R, C, 4), labels (R,) with background C, targets (p, 4) of the p
    regions that are not background, in order. Both losses divide by R, so that the box loss of an
    image with few objects stays small beside its classification loss.
    """
    regions = max(len(labels), 1)
    foreground = (labels < deltas.shape[1]).nonzero().squeeze(1)
    chosen = deltas[foreground, labels[foreground]]
    return {
        "loss_cls": classification_loss(logits, labels) / regions,
        "loss_bbox": box_regression_loss(chosen, targets) / regions,
    }
