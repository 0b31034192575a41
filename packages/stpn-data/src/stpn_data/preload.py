"""What workers should find imported: their server imports this once, before it forks any."""

from __future__ import annotations

from stpn_data import clips, tracking, workers
from stpn_data.image import _jpeg_decoder

__all__ = ["clips", "tracking", "workers"]

_jpeg_decoder()  # brings in the decoding library, which takes seconds
