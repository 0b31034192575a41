"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def warmup_step_schedule(
    lr: float,
    *,
    warmup_steps: int = 500,
    warmup_ratio: float = 1 / 3,
    milestones: Sequence[int] = (),
    gamma: float = 0.1,
) -> Callable[[int], float]:
    """Linear warm-up from `lr * warmup_ratio`, then times `gamma` at each milestone.

    Returns `lr_at(step)` with step counted from 0: the rate of the update that takes the model from
    `step` to `step + 1`. Full rate is reached at `warmup_steps` (mmcv's linear warm-up).
    """
    if warmup_steps < 0 or list(milestones) != sorted(milestones):
        raise ValueError(f"{warmup_steps=} must be >= 0 and {milestones=} ascending")

    def lr_at(step: int) -> float:
        passed = sum(step >= milestone for milestone in milestones)
        rate = lr * gamma**passed
        if step < warmup_steps:
            rate *= warmup_ratio + (1 - warmup_ratio) * step / warmup_steps
        return rate

    return lr_at
