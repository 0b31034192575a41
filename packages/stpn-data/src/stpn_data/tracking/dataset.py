"""Training clips of a tracker, addressed by (epoch, position).

Everything random about a clip follows from (seed, epoch, position), never from a worker or from what
was loaded before. The support has a stream of its own: its settings leave the rest of a clip as it
is, so that runs which differ in support alone can be compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from stpn_data.errors import DataError
from stpn_data.skipped import reason_of
from stpn_data.tracking.augment import Augmentation, Look, apply_look, draw_looks, flipped_box
from stpn_data.tracking.batch import TrackingClip, collate_tracking
from stpn_data.tracking.cutting import CropFailed, CropSettings, Cutter
from stpn_data.tracking.draw import (
    Draw,
    Sampling,
    SupportSampling,
    TargetPool,
    check_sampling,
    draw_clip,
    draw_support,
)
from stpn_data.tracking.targets import Targets

MAX_REDRAWS = 100  # draws in a row that fail before training is refused


class TrackingDataset:
    """Clips of the targets of one or more data sets. A position is one more random clip.

    weights: how often each data set is drawn; all alike by default.
    samples_per_epoch: positions.
    skip_unreadable: False raises DataError for a missing or damaged file.

    A draw fails if a file cannot be read, a box has no area, or a crop shows nothing but padding. It
    is drawn again, and `TrackingClip.skipped` names it; after MAX_REDRAWS in a row DataError is
    raised. A support crop that fails is left out alone, and named as well.
    """

    collate = staticmethod(collate_tracking)  # how a loader joins its clips

    def __init__(
        self,
        data: Sequence[Targets],
        *,
        sampling: Sampling | None = None,
        support: SupportSampling | None = None,
        crops: CropSettings | None = None,
        augmentation: Augmentation | None = None,
        weights: Sequence[float] | None = None,
        samples_per_epoch: int = 60_000,
        seed: int = 0,
        skip_unreadable: bool = True,
    ) -> None:
        if samples_per_epoch < 1 or seed < 0:
            raise DataError(
                "tracking clips need samples_per_epoch of 1 or more and a seed of 0 or more; got "
                f"{samples_per_epoch} and {seed}"
            )
        self.pool = TargetPool(data, weights)
        self.sampling = sampling or Sampling()
        self.support = support or SupportSampling()
        self.crops = crops or CropSettings()
        self.augmentation = augmentation or Augmentation()
        self.samples_per_epoch = samples_per_epoch
        self.seed = seed
        self.skip_unreadable = skip_unreadable
        # names of the classes of all data sets; labels of clips are positions in it
        self.classes = tuple(dict.fromkeys(c for one in data for c in one.index.classes))
        places = {name: place for place, name in enumerate(self.classes)}
        self._labels = [np.array([places[c] for c in one.index.classes], np.int64) for one in data]
        check_sampling(self.pool, self.sampling)

    def __len__(self) -> int:
        return self.samples_per_epoch

    @property
    def groups(self) -> NDArray[np.int64]:
        """(n,) zeros: all clips have one shape."""
        return np.zeros(len(self), np.int64)

    def name(self, position: int, epoch: int = 0) -> str:
        """The target and all frames that are drawn first, support included:
        `GOT-10k_Train_000001#0: 00000012, 00000004, …`. Where a draw fails, others follow."""
        of_frames, _, _, of_support = self._streams(epoch, position).spawn(4)
        draw = draw_clip(self.pool, self.sampling, of_frames)
        support = draw_support(self.pool, draw, self.support, of_support.spawn(3)[0])
        targets = self.pool.sets[draw.data]
        own = f"{targets.index.video_names[targets.video[draw.target]]}/"
        places = (draw.template, *draw.online, draw.search, *support)
        frames = [self.pool.sets[p.data].index.frame_name(p.frame) for p in places]
        listed = ", ".join(dict.fromkeys(frame.removeprefix(own) for frame in frames))
        return f"{targets.name(draw.target)}: {listed}"

    def _streams(self, epoch: int, position: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, epoch, position])

    def __getitem__(self, at: tuple[int, int]) -> TrackingClip:
        """The clip at (epoch, position)."""
        rng = self._streams(*at)
        skipped: list[str] = []
        while len(skipped) < MAX_REDRAWS:
            try:
                clip = self._clip(*rng.spawn(4))
            except CropFailed as error:
                skipped.append(self._told(error))
            else:
                return replace(clip, skipped=(*skipped, *clip.skipped))
        reasons = ", ".join(f"{n} × {reason}" for reason, n in count_reasons(skipped).items())
        raise DataError(
            f"{len(skipped)} draws of a tracking clip in a row failed ({reasons}), "
            f"the last: {skipped[-1]}"
        )

    def _clip(
        self,
        of_frames: np.random.Generator,
        of_jitter: np.random.Generator,
        of_look: np.random.Generator,
        of_support: np.random.Generator,
    ) -> TrackingClip:
        draw = draw_clip(self.pool, self.sampling, of_frames)
        *template_looks, look = draw_looks(of_look, 2 + len(draw.online), self.augmentation)
        cutter = Cutter(self.pool.sets, self.crops)
        template, *online = (
            apply_look(cutter.template(place), each)
            for place, each in zip((draw.template, *draw.online), template_looks, strict=True)
        )
        search = cutter.search(draw.search, of_jitter)
        targets = self.pool.sets[draw.data]
        frame = self.pool.sets[draw.search.data].index.frame_name(draw.search.frame)
        clip = TrackingClip(
            template=template,
            online=torch.stack(online) if online else template.new_zeros(0, *template.shape),
            search=apply_look(search.pixels, look),
            support=search.pixels.new_zeros(self.support.count, *search.pixels.shape),
            valid=torch.zeros(self.support.count, dtype=torch.bool),
            box=torch.tensor(flipped_box(search.box, look.flip), dtype=torch.float32),
            positive=torch.tensor(float(draw.positive)),
            label=int(self._labels[draw.data][targets.label[draw.target]]),
            support_labels=torch.zeros(0, dtype=torch.int64),
            name=f"{targets.name(draw.target)}, search in {frame}",
        )
        return self._with_support(clip, draw, cutter, look, of_support)

    def _with_support(
        self, clip: TrackingClip, draw: Draw, cutter: Cutter, look: Look, rng: np.random.Generator
    ) -> TrackingClip:
        """The clip with its support crops, which are grey and flipped as the search crop is."""
        classes: set[int] = set()
        failed = []
        of_frames, of_jitter, of_look = rng.spawn(3)
        places = draw_support(self.pool, draw, self.support, of_frames)
        looks = draw_looks(of_look, len(places), self.augmentation)
        for slot, (place, own) in enumerate(zip(places, looks, strict=True)):
            try:
                found = cutter.search(place, of_jitter)
            except CropFailed as error:
                failed.append(self._told(error))
                continue
            clip.support[slot] = apply_look(found.pixels, replace(look, brightness=own.brightness))
            clip.valid[slot] = True
            classes.update(self._labels[place.data][found.labels].tolist())
        labels = torch.tensor(sorted(classes), dtype=torch.int64)
        return replace(clip, support_labels=labels, skipped=tuple(failed))

    def _told(self, error: CropFailed) -> str:
        if error.unreadable and not self.skip_unreadable:
            raise DataError(error.what) from error
        return str(error)


def count_reasons(skipped: Iterable[str]) -> dict[str, int]:
    """How often a clip was drawn again, or a support crop left out, by reason."""
    return dict(Counter(map(reason_of, skipped)).most_common())
