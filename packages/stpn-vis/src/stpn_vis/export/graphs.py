"""The parts of a segmenter that are exported, each with its inputs and outputs by name.

Q queries, C classes, D query width, H x W padded pixels; one frame.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from stpn_core import Features
from stpn_core.export.graphs import Graph, encoder_graphs, example_maps
from stpn_vis.deformable_attention import DeformableAttention
from stpn_vis.segmenter import Segmenter

HEAD_OUTPUTS = ("logits", "masks", "embeddings")


class ExportedHead(nn.Module):
    """Pixel decoder and query decoder of a segmenter, sharing its weights."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.pixel_decoder, self.decoder = segmenter.pixel_decoder, segmenter.decoder
        self.strides = segmenter.stpn.encoder.strides

    def forward(self, *maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """maps (1, C_i, H_i, W_i) of the encoder -> class logits (1, Q, C + 1), mask logits
        (1, Q, H/4, W/4), embeddings (1, Q, D)."""
        mask_features, levels = self.pixel_decoder(Features(maps, self.strides))
        embeddings = self.decoder(mask_features, levels)[-1]
        masks = self.decoder.masks(embeddings, mask_features)
        return self.decoder.classify(embeddings), masks, embeddings


def exportable(segmenter: Segmenter) -> Segmenter:
    """A copy in fp32 on the CPU, whose deformable attention samples by `grid_sample`, which ONNX
    has; `embedding_bag` it has not."""
    model = copy.deepcopy(segmenter).to("cpu").float().eval()
    for module in model.modules():
        if isinstance(module, DeformableAttention):
            module.sampling = "grid_sample"
    return model


def graphs_of(segmenter: Segmenter, size: tuple[int, int]) -> list[Graph]:
    """All graphs of an `exportable` segmenter for padded frames of `size` (H, W)."""
    maps = example_maps(segmenter.stpn, size)
    head = Graph("head", ExportedHead(segmenter), maps, HEAD_OUTPUTS)
    plain, *prompted = encoder_graphs(segmenter.stpn, size)
    return [plain, head, *prompted]
