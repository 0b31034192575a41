"""A graph as a program of `torch.export`."""

from __future__ import annotations

import warnings

import torch
from torch.export import Dim, ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from stpn_core.export.graphs import Graph

MOST_SUPPORT = 1024
"""Support frames that an exported predictor takes at the most."""


@torch.no_grad()
def program_of(graph: Graph) -> ExportedProgram:
    """Trace a graph at the sizes of its examples; the number of support frames stays free."""
    number = Dim("support_frames", min=1, max=MOST_SUPPORT)
    shapes = [{1: number} if name in graph.any_number else None for name in graph.inputs]
    variadic = len(graph.inputs) - _named_arguments(graph)
    nested = shapes[: len(shapes) - variadic] + ([tuple(shapes[-variadic:])] if variadic else [])
    # the fused kernels' memory layout would be baked into the program, and no other runtime has it
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(
            graph.module.eval(), tuple(graph.inputs.values()), dynamic_shapes=tuple(nested)
        )


def _named_arguments(graph: Graph) -> int:
    """How many inputs are arguments of their own; the others are a forward's `*` arguments."""
    code = graph.module.forward.__code__
    starred = bool(code.co_flags & 0x04)
    return code.co_argcount - 1 if starred else len(graph.inputs)
