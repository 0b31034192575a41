"""An exported tracker as functions of arrays, run by onnxruntime. One target.

S and S_t the sides of search and template crops, h x w a search map with C channels, P prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stpn_core.export.sessions import CPU, Sessions, require_runtime
from stpn_data.arrays.crops import cut
from stpn_data.crop_axes import Box
from stpn_vot.runner.manifest import Manifest, read_manifest

Array: TypeAlias = NDArray[Any]
Cache: TypeAlias = dict[str, Array]
"""What templates leave behind: the first one's map, keys and values of every block, by name."""


@dataclass(frozen=True, eq=False)
class Seen:
    """box (4,): x1 y1 x2 y2 in sides of the search region. score: 0 to 1, None without a score
    head. map (h, w, C)."""

    box: NDArray[np.float32]
    score: float | None
    map: Array


class ExportedTracker:
    """The graphs of an export, loaded when first used.

    threads: of onnxruntime, 0 for all cores. providers: onnxruntime's, best first.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, *, threads: int, providers: Sequence[str]
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.sessions = Sessions(folder, threads=threads, providers=providers)

    @property
    def has_prompts(self) -> bool:
        """Whether frames can get prompts from earlier ones."""
        return bool(self.manifest.graphs.predictor)

    def crop(
        self, frame: NDArray[np.uint8], box: Box, factor: float, size: int
    ) -> tuple[Array, float]:
        """Network input (3, size, size) float32 around a box in a frame (3, H, W), and crop pixels
        per pixel of the frame."""
        pixels, scale = cut(frame, box, factor, size)
        mean = np.array(self.manifest.mean, np.float32)[:, None, None]
        std = np.array(self.manifest.std, np.float32)[:, None, None]
        return (pixels - mean) / std, scale

    def encode_templates(self, templates: Sequence[Array]) -> Cache:
        """Crops (3, S_t, S_t), the first one and the online ones, as search regions use them."""
        session = self.sessions[self.manifest.graphs.template]
        names = [output.name for output in session.get_outputs()]
        found = session.run(names, {"templates": np.stack(templates)[None]})
        return dict(zip(names, found, strict=True))

    def search(self, crop: Array, cache: Cache, prompts: Sequence[Array] | None) -> Seen:
        """Find the target in a search region (3, S, S); prompts None is plain MixFormer."""
        graphs = self.manifest.graphs
        name = graphs.plain if prompts is None else graphs.prompted
        box, *score, found = self._run(name, crop, cache, prompts, None)
        return Seen(box[0], float(score[0][0]) if score else None, found[0])

    def embed(self, crop: Array, cache: Cache) -> Array:
        """The map (h, w, C) of a search region (3, S, S) without prompts."""
        return self._run(self.manifest.graphs.plain, crop, cache, None, ["map"])[0][0]

    def predict_prompts(self, maps: Sequence[Array]) -> tuple[Array, ...]:
        """Maps (h, w, C) of support frames to prompts (1, P, D_i) for each layer that takes some."""
        session = self.sessions[self.manifest.graphs.predictor]
        takes = session.get_inputs()  # prompts that ignore the support have none
        feeds = {"maps": np.stack(maps)[None]} if takes else {}
        return tuple(session.run(None, feeds))

    def _run(
        self,
        name: str,
        crop: Array,
        cache: Cache,
        prompts: Sequence[Array] | None,
        wanted: list[str] | None,
    ) -> list[Array]:
        import onnxruntime

        session = self.sessions[name]
        given = {"search": crop[None]} | cache
        given |= {f"prompt_{i}": layer for i, layer in enumerate(prompts or ())}
        takes = {item.name for item in session.get_inputs()}
        feeds = {key: array for key, array in given.items() if key in takes}
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = wanted is not None
        found: list[Array] = session.run(wanted, feeds, options)
        return found


def open_exported(
    folder: str | Path, *, threads: int = 0, providers: Sequence[str] = (CPU,)
) -> ExportedTracker:
    """The tracker that `stpn vot export` wrote to `folder`.

    Raises InputError if there is none, if it is damaged, or if onnxruntime is not installed.
    """
    manifest = read_manifest(folder)
    require_runtime("stpn-vot[export]")
    return ExportedTracker(Path(folder), manifest, threads=threads, providers=providers)
