"""An exported prompted encoder as functions of arrays, run by onnxruntime. Needs no torch.

P prompts of width D_i, h x w grid and C channels of support tokens, K support frames; one frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError
from stpn_core.export.manifest import ANY, EncoderManifest, Graphs, at_size
from stpn_core.export.sessions import Sessions

Array = NDArray[Any]
M = TypeVar("M", bound=EncoderManifest)


class ExportedEncoder(Generic[M]):
    """The graphs of an export, loaded when first used; a task adds what its head says.

    threads: of onnxruntime for one frame, 0 for all cores. providers: onnxruntime's, best first.
    """

    def __init__(
        self, folder: Path, manifest: M, *, threads: int, providers: Sequence[str]
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.sessions = Sessions(folder, threads=threads, providers=providers)
        self.enlarged: dict[str, str] = {}
        """Padded sizes of frames that had to run in graphs of a larger one."""

    @property
    def uses_support(self) -> bool:
        """Whether frames get prompts from other frames."""
        return bool(self.manifest.graphs[0].encoder)

    def graphs_for(self, size: tuple[int, int]) -> Graphs:
        """The smallest graphs that hold a frame of network size (h, w).

        Raises InputError naming the sizes there are, and how to get the one that is missing.
        """
        height, width = (-(-side // self.manifest.pad_to) * self.manifest.pad_to for side in size)
        holding = [g for g in self.manifest.graphs if g.height >= height and g.width >= width]
        exact = any((g.height, g.width) == (height, width) for g in holding)
        for graphs in self.manifest.graphs:
            if (graphs.height, graphs.width) == ANY and not exact:
                return at_size(graphs, (height, width), self.manifest.pad_to)
        if not holding:
            there = ", ".join(f"{g.height}x{g.width}" for g in self.manifest.graphs)
            raise InputError(
                f"{self.folder}: a frame of {size[0]}x{size[1]} network pixels (height x width) "
                f"needs graphs for {height}x{width}; there are {there}. Export it with "
                f"--size {height}x{width}, or give a smaller --short-side and --long-side"
            )
        best = min(holding, key=lambda g: (g.height * g.width, g.height))
        if (best.height, best.width) != (height, width):
            self.enlarged[f"{height}x{width}"] = f"{best.height}x{best.width}"
        return best

    def network_input(self, pixels: NDArray[np.uint8], graphs: Graphs) -> Array:
        """uint8 (h, w, 3) at network size -> float32 (1, 3, H, W), normalised, zero-padded."""
        mean = np.array(self.manifest.mean, np.float32)
        std = np.array(self.manifest.std, np.float32)
        image = np.zeros((1, 3, graphs.height, graphs.width), np.float32)
        height, width = pixels.shape[:2]
        image[0, :, :height, :width] = ((pixels - mean) / std).transpose(2, 0, 1)
        return image

    def embed(self, graphs: Graphs, image: Array) -> Array:
        """(1, 3, H, W) -> tokens (h, w, C) of a support frame."""
        return self.sessions[graphs.plain].run(["tokens"], {"image": image})[0][0]

    def prompts(self, graphs: Graphs, tokens: Sequence[Array]) -> list[Array]:
        """Tokens (h, w, C) of K support frames -> (1, P, D_i) for each layer that takes prompts."""
        support = np.stack(tokens)[None]
        valid = np.ones(support.shape[:2], np.bool_)
        feeds = {"tokens": support, "valid": valid}
        session = self.sessions[graphs.predictor]
        wanted = {item.name for item in session.get_inputs()}
        return session.run(None, {name: feed for name, feed in feeds.items() if name in wanted})

    def encode(self, graphs: Graphs, image: Array, prompts: Sequence[Array] | None) -> list[Array]:
        """(1, 3, H, W) and prompts, or None for the plain encoder -> maps (1, C_i, H_i, W_i)."""
        if prompts is None:
            session = self.sessions[graphs.plain]
            maps = [o.name for o in session.get_outputs() if o.name.startswith("map_")]
            return session.run(maps, {"image": image})
        named = {f"prompt_{i}": layer for i, layer in enumerate(prompts)}
        return self.sessions[graphs.encoder].run(None, {"image": image} | named)
