"""The parts of a tracker that are exported, each with its inputs and outputs by name.

One target. T templates, K support frames, C channels of the last map, h x w a search map, P prompts
of width D_i. Batch norms of attention lie in the convolutions (`fold_batch_norms`).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from stpn_core.cvt import CvtEncoder
from stpn_core.cvt_parts import KeysValues, fold_batch_norms
from stpn_core.encoder import Prompts
from stpn_core.export.graphs import SUPPORT, Graph, layers_of
from stpn_vot.mixformer import MixFormer
from stpn_vot.template_cache import TemplateCache, encode_templates


class TemplateGraph(nn.Module):
    """Templates (1, T, 3, H, W) -> the first one's map, then keys and values of every block."""

    def __init__(self, encoder: CvtEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, templates: Tensor) -> tuple[Tensor, ...]:
        cache = encode_templates(self.encoder, templates)
        # contiguous: these are outputs, which no one can read without their strides
        return tuple(part.contiguous() for part in _parts(cache))


class SearchGraph(nn.Module):
    """A search region (1, 3, H, W), what TemplateGraph gives, and prompts -> box (1, 4) x1 y1 x2 y2
    in sides of the region, score (1,) from 0 to 1, map (1, h, w, C); no score without its head."""

    def __init__(self, model: MixFormer, prompts: int, deep: bool = False) -> None:
        super().__init__()
        self.model = model
        self.prompts = prompts
        self.deep = deep

    def forward(self, search: Tensor, first: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        count = len(others) - self.prompts
        blocks: tuple[KeysValues, ...] = tuple(
            (others[i], others[i + 1]) for i in range(0, count, 2)
        )
        cache = TemplateCache(blocks, first)
        features = self.model.encode_search(search, cache, self._prompts(others[count:]))
        found = self.model.locate(features, cache)
        score = () if found.scores is None else (found.scores.sigmoid(),)
        return (found.boxes, *score, features.permute(0, 2, 3, 1).contiguous())

    def _prompts(self, given: tuple[Tensor, ...]) -> Prompts | None:
        if not given:
            return None
        return list(given) if self.deep else given[0]


class PredictorGraph(nn.Module):
    """Search maps of support frames (1, K, h, w, C) -> prompts (1, P, D_i)."""

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        return layers_of(self.predictor(maps))


def exportable(model: MixFormer) -> MixFormer:
    """A copy for export, in float32 on the CPU, with folded batch norms."""
    copied = copy.deepcopy(model).to("cpu").float().eval()
    fold_batch_norms(copied)
    return copied


@torch.no_grad()
def graphs_of(model: MixFormer, template_size: int, search_size: int) -> list[Graph]:
    """Graphs `template` and `plain`, and with a predictor `prompted` and `predictor`, for crops of
    these sizes; of what `exportable` gives. The number of templates and support frames is free."""
    templates = torch.randn(1, 3, 3, template_size, template_size)
    template = TemplateGraph(model.encoder)
    first, *parts = template(templates)
    cache = {"first": first} | {
        f"{('key', 'value')[place % 2]}_{place // 2}": part for place, part in enumerate(parts)
    }
    search = {"search": torch.randn(1, 3, search_size, search_size)} | cache
    plain = SearchGraph(model, 0)
    *_, found = plain(*search.values())
    free = {name: {2: f"keys_{name.split('_')[1]}"} for name in list(cache)[1:]}
    seen = ("box", "map") if model.score_head is None else ("box", "score", "map")
    number = {"templates": {1: "templates"}}
    graphs = [
        Graph("template", template, {"templates": templates}, tuple(cache), number),
        Graph("plain", plain, search, seen, free),
    ]
    if model.predictor is None:
        return graphs
    maps = {"maps": found[:, None].expand(-1, 3, -1, -1, -1).contiguous()}
    predictor = PredictorGraph(model.predictor)
    predicted = model.predictor(*maps.values())
    prompts = {f"prompt_{i}": p.contiguous() for i, p in enumerate(layers_of(predicted))}
    prompted = SearchGraph(model, len(prompts), not isinstance(predicted, Tensor))
    return [
        *graphs,
        Graph("prompted", prompted, search | prompts, seen, free),
        Graph("predictor", predictor, maps, tuple(prompts), {"maps": SUPPORT}),
    ]


def _parts(cache: TemplateCache) -> tuple[Tensor, ...]:
    return (cache.first, *(part for block in cache.blocks for part in block))
