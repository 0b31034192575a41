"""A trained tracker with what its numbers mean, from a weights file or a run directory."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from stpn_core.errors import InputError
from stpn_core.hub import check_config, config_bytes
from stpn_core.runs import weights_file
from stpn_vot.build_config import TrackerConfig
from stpn_vot.conversion import TASK
from stpn_vot.mixformer import MixFormer
from stpn_vot.protocol import Protocol
from stpn_vot.tracking_config import TrackingConfig
from stpn_vot.weights import read_tracker


@dataclass(frozen=True, eq=False)
class TrainedTracker:
    """A tracker ready to use, in evaluation mode. notes: what a user should know of the weights.
    protocol: what it was trained on."""

    model: MixFormer
    config: TrackerConfig
    source: Path
    notes: tuple[str, ...] = ()
    protocol: Protocol = "unknown"

    def tracking(self, config: TrackingConfig | None = None) -> TrackingConfig:
        """`config` with crop sizes of 0 replaced by those of the weights.

        Raises InputError for a search size that the mixer predictor is not made for.
        """
        given = config or TrackingConfig()
        own = self.config
        search = given.search_size or own.search_size
        if own.predictor == "mixer" and given.prompts and search != own.search_size:
            raise InputError(
                f"search_size {search}: the mixer predictor of {self.source} is made for "
                f"{own.search_size}"
            )
        template = given.template_size or own.template_size
        return replace(given, template_size=template, search_size=search)


def load_trained(path: str | Path, device: torch.device | str = "cpu") -> TrainedTracker:
    """The tracker of a weights file, of a saved folder, of a run directory (its best checkpoint, or
    its last if none was validated), or of a repository `hf://owner/name[@revision]`.

    Raises InputError if there is none, or if a saved folder's config.json was changed.
    """
    stored = read_tracker(weights_file(path))
    check_config(stored.source, config_bytes(TASK, asdict(stored.config)))
    model = stored.build().to(device)
    return TrainedTracker(model, stored.config, stored.source, stored.notes, stored.protocol)
