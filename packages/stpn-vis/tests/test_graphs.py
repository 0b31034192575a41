"""The segmenter as one graph: compiled without breaks, and exported."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from .tiny import inputs, segmenter


def test_compiled_without_graph_breaks():
    model = segmenter(decoder_layers=2)
    images, support, _ = inputs()
    expected = model(images, support)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    found = compiled(images, support)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.masks, expected.masks)


def test_exported():
    model = segmenter(sampling="grid_sample", decoder_layers=2)
    images, _, _ = inputs()
    program = torch.export.export(model, (images,))
    other = images.flip(-1)
    found, expected = program.module()(other), model(other)
    assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-5)
    assert_close(found.masks, expected.masks, atol=1e-5, rtol=1e-5)
