"""A graph as a program of `torch.export`."""

from __future__ import annotations

import warnings

import torch
from torch.export import Dim, ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from stpn_core.export.graphs import Graph

MOST = 1 << 20
"""Of whatever there may be any number of."""


@torch.no_grad()
def program_of(graph: Graph) -> ExportedProgram:
    """Trace a graph at the sizes of its examples; what is free stays free."""
    names = {name for each in graph.free.values() for name in each.values()}
    sizes = {name: Dim(name, min=1, max=MOST) for name in names}
    shapes = [
        {axis: sizes[name] for axis, name in graph.free.get(given, {}).items()} or None
        for given in graph.inputs
    ]
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
