"""Which samples make up batch number n of a training run: a function of the number alone.

Nothing has to be saved to resume but the number of the next batch, and neither the number of
workers nor their timing plays a part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError


class BatchOrder:
    """The batches of one rank, numbered 0, 1, 2, … without end.

    groups: (n,) group of each of the n samples. Batches hold samples of one group as far as the
        groups are large enough; what is left of all groups fills mixed batches.
    batch_size: samples per batch and rank.

    An epoch is one permutation of the samples. Its batches are dealt to the ranks in turn, so the
    ranks' samples are disjoint. All samples but fewer than `batch_size * world_size` are used in
    an epoch; those left out (other ones each epoch) keep batches full and ranks in step.

    Raises DataError if an epoch does not hold one batch for each rank.
    """

    def __init__(
        self,
        groups: NDArray[np.int64],
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 1 or not 0 <= rank < world_size or seed < 0:
            raise DataError(
                f"batch_size {batch_size}, rank {rank} of {world_size} and seed {seed} "
                "do not make an order of batches"
            )
        if len(groups) < batch_size * world_size:
            raise DataError(
                f"{len(groups)} training samples do not fill one batch of {batch_size} on each of "
                f"{world_size} ranks; use a smaller batch size or more data"
            )
        self.groups = groups
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.batches_per_epoch = len(groups) // batch_size // world_size
        self._epoch = -1
        self._batches: NDArray[np.int64] = np.zeros((0, batch_size), np.int64)

    def batch(self, number: int) -> list[tuple[int, int]]:
        """Samples of batch `number`, as (epoch, position)."""
        epoch, row = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            self._batches, self._epoch = self._deal(epoch), epoch
        return [(epoch, int(position)) for position in self._batches[row]]

    def _deal(self, epoch: int) -> NDArray[np.int64]:
        """(batches_per_epoch, batch_size) positions of one epoch for this rank."""
        rng = np.random.default_rng([self.seed, epoch])
        shuffled = rng.permutation(len(self.groups))
        full, rest = [], []
        for group in np.unique(self.groups):
            members = shuffled[self.groups[shuffled] == group]
            whole = len(members) // self.batch_size * self.batch_size
            full.append(members[:whole])
            rest.append(members[whole:])
        mixed = rng.permutation(np.concatenate(rest))
        mixed = mixed[: len(mixed) // self.batch_size * self.batch_size]
        batches = np.concatenate([*full, mixed]).reshape(-1, self.batch_size)
        return rng.permutation(batches)[self.rank :: self.world_size][: self.batches_per_epoch]
