"""Keeping NaN and infinity out of weights, optimiser, buffers and checkpoints."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stpn_core.errors import NumericsError
from stpn_core.training.distributed import any_rank

_log = logging.getLogger(__name__)
_SMALLEST_SCALE = 1.0


class FiniteGuard:
    """Decides before every optimiser step whether it may be taken.

    ```
    guard.before_forward()
    losses = ...; scaler.scale(total).backward(); scaler.unscale_(optimizer)
    norm = clip_gradients(model.parameters(), max_norm)
    if guard.accept(losses, norm, step=step, ids=batch.names, scaler=scaler):
        scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    ```
    A refused step leaves weights, optimiser state and buffers (running means, which the forward
    pass has already changed) as they were. `limit` refused steps in a row are logged with their
    samples; the next raises NumericsError. All ranks decide together.
    """

    def __init__(self, model: nn.Module, limit: int = 3) -> None:
        self.limit = limit
        self.in_a_row = 0
        self.skipped = 0
        self._buffers = [b for b in model.buffers() if b.numel()]
        self._before = [b.clone() for b in self._buffers]

    @torch.no_grad()
    def before_forward(self) -> None:
        """Remember the buffers; once per step, before the first forward."""
        for saved, buffer in zip(self._before, self._buffers, strict=True):
            saved.copy_(buffer)

    @torch.no_grad()
    def accept(
        self,
        losses: Mapping[str, Tensor | float],
        grad_norm: Tensor | float,
        *,
        step: int,
        ids: Sequence[object] = (),
        scaler: torch.amp.GradScaler | None = None,
    ) -> bool:
        """Whether the optimiser may step: losses, gradient norm and buffers finite on every rank.

        Args:
            losses: of this step by name, before scaling.
            grad_norm: of the unscaled gradients.
            ids: of the samples in this step's batch, for the log.
            scaler: an enabled one finds its scale by overflowing gradients: those are refused
                without counting, until its scale is down to 1.

        Raises:
            NumericsError: this is refusal number `limit` + 1 in a row.
        """
        broken = [f"loss {name}" for name, loss in losses.items() if not _finite(loss)]
        overflow = not _finite(grad_norm)
        scaling = scaler is not None and scaler.is_enabled()
        searching = overflow and not broken and scaling and scaler.get_scale() > _SMALLEST_SCALE  # type: ignore[union-attr]
        if overflow and not searching:
            broken.append("gradient norm")
        if not all(bool(torch.isfinite(b).all()) for b in self._buffers):
            broken.append("buffers")
        refused, counted = any_rank([bool(broken) or searching, bool(broken)])
        if not refused:
            self.in_a_row = 0
            return True
        for saved, buffer in zip(self._before, self._buffers, strict=True):
            buffer.copy_(saved)
        if counted:
            self._count(step, broken or ["another rank"], ids)
        return False

    def _count(self, step: int, broken: Sequence[str], ids: Sequence[object]) -> None:
        self.in_a_row += 1
        self.skipped += 1
        what = f"step {step}: not finite: {', '.join(broken)}; samples {', '.join(map(str, ids))}"
        if self.in_a_row > self.limit:
            raise NumericsError(
                f"{what}. That is {self.in_a_row} steps in a row; weights and checkpoints are "
                "untouched. Look at these samples, lower the learning rate, or use fp32"
            )
        _log.warning("%s; skipped (%d in a row, %d allowed)", what, self.in_a_row, self.limit)

    def state_dict(self) -> dict[str, Any]:
        return {"in_a_row": self.in_a_row, "skipped": self.skipped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.in_a_row, self.skipped = int(state["in_a_row"]), int(state["skipped"])


def _finite(value: Tensor | float) -> bool:
    return math.isfinite(value.detach().item() if isinstance(value, Tensor) else value)
