"""A graph as a program of `torch.export`."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch._dynamo.exc import UserError
from torch.export import Dim, ExportedProgram
from torch.nn.attention import SDPBackend, sdpa_kernel

from stpn_core.errors import InputError
from stpn_core.export.graphs import Graph, Multiple

MOST = 1 << 20
"""Of whatever there may be any number of."""


@torch.no_grad()
def program_of(graph: Graph) -> ExportedProgram:
    """Trace a graph at the sizes of its examples; what is free stays free.

    Raises InputError if something cannot stay free.
    """
    sizes: dict[str, Any] = {}
    shapes = [
        {axis: _dimension(free, sizes) for axis, free in graph.free.get(given, {}).items()} or None
        for given in graph.inputs
    ]
    variadic = len(graph.inputs) - _named_arguments(graph)
    nested = shapes[: len(shapes) - variadic] + ([tuple(shapes[-variadic:])] if variadic else [])
    # the fused kernels' memory layout would be baked into the program, and no other runtime has it
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(
                graph.module.eval(), tuple(graph.inputs.values()), dynamic_shapes=tuple(nested)
            )
        except UserError as error:
            if not sizes:
                raise
            reason = str(error).strip().split("\n", 1)[0]
            raise InputError(
                f"the graph `{graph.name}` cannot be written for any {', '.join(sorted(sizes))}: "
                f"{reason} Export it for fixed sizes (--size HEIGHTxWIDTH)"
            ) from error


def _dimension(free: str | Multiple, sizes: dict[str, Any]) -> Any:
    """What torch.export calls it; `sizes` by name are added to."""
    one = Multiple(free, least=1) if isinstance(free, str) else free
    size = sizes.setdefault(one.name, Dim(one.name, min=one.least, max=MOST // one.times))
    return one.times * size if one.times > 1 else size


def _named_arguments(graph: Graph) -> int:
    """How many inputs are arguments of their own; the others are a forward's `*` arguments."""
    code = graph.module.forward.__code__
    starred = bool(code.co_flags & 0x04)
    return code.co_argcount - 1 if starred else len(graph.inputs)
