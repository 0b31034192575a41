"""Graphs as ONNX files that share one file of weights.

Encoders of all sizes, with prompts and without, hold the same weights. A tensor is written once; the
exporter's constant folding transposes some in one graph and not in another, which makes them two.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from stpn_core.errors import InputError
from stpn_core.export.graphs import Graph

WEIGHTS = "weights.bin"
OPSETS = range(18, 24)
_SMALLEST = 1024  # bytes; what is smaller stays inside the graph
_ALIGNMENT = 4096  # of a page, so that a runtime can map the file


def require_onnx(extra: str, instead: str = "") -> None:
    """Raise InputError if ONNX files cannot be written and checked here; `extra`, such as
    stpn-vod[export], brings what they need. instead: what else could be done."""
    wanted = ("onnx", "onnxscript", "onnxruntime")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"writing ONNX needs {', '.join(missing)}: pip install '{extra}'{instead}")


def onnx_model(
    graph: Graph,
    program: ExportedProgram,
    opset: int,
    translation: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
) -> Any:
    """The graph as an `onnx_ir.Model`. translation: how operators that the exporter does not know
    are written, for its `custom_translation_table`."""
    with sdpa_kernel(SDPBackend.MATH), _quiet():
        written = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=opset,
            custom_translation_table=dict(translation or {}),
        )
    assert written is not None
    for node in written.model.graph.all_nodes():
        node.metadata_props.clear()  # stack traces, with paths of this machine
    return written.model


class SharedWeights:
    """A growing file of tensors, each content once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = open(folder / WEIGHTS, "xb")  # noqa: SIM115  closed by `close`
        self._places: dict[bytes, int] = {}

    def save(self, model: Any, name: str) -> None:
        """Write `model` to the file `name` beside the weights, its large tensors into these."""
        import onnx_ir

        for value in model.graph.initializers.values():
            tensor = value.const_value
            if tensor.nbytes < _SMALLEST:
                continue
            value.const_value = onnx_ir.ExternalTensor(
                WEIGHTS,
                self._place(tensor.tobytes()),
                tensor.nbytes,
                tensor.dtype,
                shape=tensor.shape,
                name=tensor.name,
                base_dir=self._folder,
            )
        onnx_ir.save(model, self._folder / name)

    def _place(self, data: bytes) -> int:
        key = hashlib.sha256(data).digest()
        if key not in self._places:
            self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
            self._places[key] = self._file.tell()
            self._file.write(data)
            self._file.flush()
        return self._places[key]

    def close(self) -> None:
        """All of it is on disk when this returns."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter and its optimiser talk much about what is no one's concern here."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
