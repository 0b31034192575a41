"""ONNX files run by onnxruntime, each loaded when first used. Needs no torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stpn_core.errors import InputError

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Sessions:
    """The graphs in a folder. threads: of onnxruntime for one call, 0 for all cores. providers:
    onnxruntime's, best first. Raises InputError if a file is no graph."""

    def __init__(self, folder: Path, *, threads: int, providers: Sequence[str]) -> None:
        self.folder = folder
        self._threads = threads
        self._providers = list(providers)
        self._open_ones: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._open_ones:
            self._open_ones[name] = self._open(name)
        return self._open_ones[name]

    def _open(self, name: str) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(
                self.folder / name, options, providers=self._providers
            )
        except Exception as error:  # onnxruntime's errors have no common base
            reason = str(error).split("\n", 1)[0][:300]
            raise InputError(
                f"{self.folder / name}: onnxruntime {onnxruntime.__version__} cannot load it: "
                f"{reason}"
            ) from error


def require_runtime(extra: str) -> None:
    """Raise InputError if there is no onnxruntime; `extra`, such as stpn-vod[export], brings it."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise InputError(
            f"an exported model runs by onnxruntime: pip install onnxruntime (or {extra}, which "
            "brings it)"
        )


def providers_for(device: str) -> list[str]:
    """onnxruntime's providers for `auto`, `cpu` or `cuda`. Raises InputError for what it has not;
    without onnxruntime there are none, which `require_runtime` explains."""
    if importlib.util.find_spec("onnxruntime") is None:
        return []
    import onnxruntime

    cuda = CUDA in onnxruntime.get_available_providers()
    if device not in ("auto", "cpu") and not (device.split(":")[0] == "cuda" and cuda):
        raise InputError(
            f"--device {device}: this onnxruntime has cpu{' and cuda' if cuda else ' only'}"
        )
    return [CUDA, CPU] if cuda and device != "cpu" else [CPU]
