"""An export against torch: each graph fed with what torch gave the one before, then whole tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpn_core.export.check import Apart, relative
from stpn_core.export.graphs import layers_of
from stpn_core.export.manifest import Check
from stpn_data.crop_axes import Box
from stpn_vot import tracker
from stpn_vot.mixformer import Located, MixFormer
from stpn_vot.runner import stream
from stpn_vot.runner.model import Cache, ExportedTracker, Seen
from stpn_vot.template_cache import TemplateCache
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames uint8 (3, H, W) and a target's box x, y, w, h on the first one; `kind` says whether
    they are random or real."""

    frames: Sequence[NDArray[np.uint8]]
    box: Box
    kind: str


def random_clip(length: int = 12) -> Clip:
    """Coloured blocks that move two pixels a frame."""
    generator = np.random.default_rng(0)
    blocks = generator.integers(0, 256, (3, 15, 20)).astype(np.uint8).repeat(12, 1).repeat(12, 2)
    frames = [np.roll(blocks, (t, 2 * t), (1, 2)) for t in range(length)]
    return Clip(frames, (90.0, 70.0, 40.0, 30.0), "random")


@torch.no_grad()
def check_graphs(model: MixFormer, exported: ExportedTracker, clip: Clip) -> list[Check]:
    """The largest difference of every graph on a clip; of `track`, the whole way of the target."""
    sizes = exported.manifest.tracking
    said = f"{sizes.template_size}/{sizes.search_size}"
    found: dict[str, float] = {}
    for name, difference in _differences(model, exported, clip):
        found[name] = max(found.get(name, 0.0), difference)
    return [Check(name, said, clip.kind, largest) for name, largest in found.items()]


def _differences(
    model: MixFormer, exported: ExportedTracker, clip: Clip
) -> Iterator[tuple[str, float]]:
    config = exported.manifest.tracking
    templates, search = _crops(exported, clip, config)
    for number in (2, 3):  # templates, as a tracker has at first and later
        chosen = templates[:number]
        cache = model.encode_templates(torch.from_numpy(np.stack(chosen))[None])
        given = exported.encode_templates(chosen)
        yield "template", relative(_parts(cache), list(given.values())).largest
        exact = _arrays(cache)
        maps = []
        for crop in search:
            features = model.encode_search(torch.from_numpy(crop)[None], cache)
            seen = exported.search(crop, exact, None)
            yield "plain", _apart(model.locate(features, cache), features, seen)
            maps.append(features.permute(0, 2, 3, 1))
    if model.predictor is not None:
        for support in (maps[:1], maps):
            prompts = model.predict_prompts(torch.stack(support, dim=1))
            layers = exported.predict_prompts([each[0].numpy() for each in support])
            yield "predictor", relative(layers_of(prompts), layers).largest
        ours = [layer.numpy() for layer in layers_of(prompts)]
        for crop in search:
            features = model.encode_search(torch.from_numpy(crop)[None], cache, prompts)
            seen = exported.search(crop, exact, ours)
            yield "prompted", _apart(model.locate(features, cache), features, seen)
    yield "track", _on_the_way(model, exported, clip, config)


def _crops(
    exported: ExportedTracker, clip: Clip, config: TrackingConfig
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Three template crops and three search crops, where the target was at first."""
    frames = [clip.frames[i * (len(clip.frames) - 1) // 2] for i in range(3)]
    return tuple(  # type: ignore[return-value]
        [exported.crop(frame, clip.box, factor, size)[0] for frame in frames]
        for factor, size in (
            (config.template_factor, config.template_size),
            (config.search_factor, config.search_size),
        )
    )


def _on_the_way(
    model: MixFormer, exported: ExportedTracker, clip: Clip, config: TrackingConfig
) -> float:
    """The largest difference of a box, in root areas of torch's, or of a score."""
    images = [torch.from_numpy(np.ascontiguousarray(frame)) for frame in clip.frames]
    ours = tracker.start_tracking(model, images[0], clip.box, config)
    theirs = stream.start_tracking(exported, clip.frames[0], clip.box, config)
    worst = 0.0
    for image, frame in zip(images[1:], clip.frames[1:], strict=True):
        expected, ours = tracker.track(model, ours, image)
        given, theirs = stream.track(exported, theirs, frame)
        size = (expected.box[2] * expected.box[3]) ** 0.5
        pixels = max(abs(a - b) for a, b in zip(expected.box, given.box, strict=True))
        score = abs((expected.score or 0.0) - (given.score or 0.0))
        worst = max(worst, pixels / size, score)
    return worst


def _apart(found: Located, features: Tensor, seen: Seen) -> float:
    """The largest difference: of the box in sides of the search region, of the score, of the map in
    units of its largest value."""
    every = [
        Apart(float(np.abs(found.boxes[0].numpy() - seen.box).max())),
        relative([features[0].permute(1, 2, 0)], [seen.map]),
    ]
    if found.scores is not None and seen.score is not None:
        every.append(Apart(abs(float(found.scores[0].sigmoid()) - seen.score)))
    worst = [one.largest for one in every]
    return max(worst) if np.isfinite(worst).all() else float("inf")


def _parts(cache: TemplateCache) -> list[Tensor]:
    return [cache.first, *(part for block in cache.blocks for part in block)]


def _arrays(cache: TemplateCache) -> Cache:
    named = {"first": cache.first}
    for number, (keys, values) in enumerate(cache.blocks):
        named |= {f"key_{number}": keys, f"value_{number}": values}
    return {name: np.ascontiguousarray(part.numpy()) for name, part in named.items()}
