"""How queries were linked over time, as plots."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from stpn_core.explain.mass_pictures import png
from stpn_core.explain.page import Picture
from stpn_core.explain.pictures import data_address
from stpn_vis.draw_pixels import instance_colour
from stpn_vis.explain.follow import Followed


def timeline(followed: Followed, slots: Sequence[int]) -> Picture:
    """Of each slot over the frames: score, similarity of its link, and which query it was."""
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(9.5, 7.2), sharex=True, layout="constrained"
    )
    frames = followed.places
    classes = followed.arm.segmenter.classes
    style = {"marker": "o", "ms": 3.5} if len(frames) < 3 else {}
    for slot in slots:
        colour, label = _colour(slot), followed.label(slot)
        name = f"{slot + 1} {classes[label]}"
        top.plot(frames, followed.mean[:, slot, label], color=colour, label=name, **style)
        top.plot(frames, followed.scores[:, slot, label], color=colour, lw=0.8, alpha=0.7)
        middle.plot(frames, followed.similarity[:, slot], color=colour, **style)
        middle.plot(frames, followed.rival[:, slot], color=colour, lw=0.8, ls=":")
        bottom.plot(frames, followed.queries[:, slot] + 1, color=colour, ls="", marker=".", ms=5)
    top.set(ylabel="score of its class", ylim=(-0.03, 1.03))
    middle.set(ylabel="similarity to the frame before")
    used = followed.queries[:, list(slots)] + 1
    bottom.set(ylabel="query of the frame", xlabel="frame")
    bottom.set_ylim(int(used.min()) - 0.8, int(used.max()) + 0.8)
    for axis in (bottom.xaxis, bottom.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    for panel in (top, middle, bottom):
        panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(6, len(slots)), frameon=False, fontsize=8)
    return Picture(data_address(png(figure), "png"), _words(followed, slots))


def hardest_link(followed: Followed, slots: Sequence[int]) -> Picture | None:
    """Similarities of all slots to all queries at the frame where a followed slot's own query was
    least ahead of its rival; None if there is no link, or only one query."""
    margin = (followed.similarity - followed.rival)[1:, list(slots)]
    if not margin.numel() or not margin.isfinite().all():
        return None
    t = int(margin.amin(1).argmin())
    slot = slots[int(margin[t].argmin())]
    link = followed.links[t]
    order = followed.queries[t + 1]
    first = [*slots, *(s for s in range(len(order)) if s not in set(slots))]
    matrix = link.similarity[first][:, order[first]].numpy()
    figure, axis = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
    image = axis.imshow(matrix, cmap="magma", vmin=min(0.0, float(matrix.min())), vmax=1)
    figure.colorbar(image, shrink=0.85)
    ticks = np.arange(len(slots))
    axis.set_xticks(ticks, [f"q{int(order[s]) + 1}" for s in slots], rotation=90, fontsize=7)
    axis.set_yticks(ticks, [f"{s + 1}" for s in slots], fontsize=7)
    axis.set(ylabel="slot, as in the frame before", xlabel=f"query of frame {link.place}")
    own, other = (float(part[t + 1, slot]) for part in (followed.similarity, followed.rival))
    said = (
        f"The hardest link of the followed objects: frame {link.place}, object {slot + 1}, "
        f"similarity {own:.2f} to its own query and {other:.2f} to its nearest rival. The followed "
        "objects come first, links lie on the diagonal; bright cells beside it are what could be "
        "confused. A link below its rival is no error: all slots are assigned together."
    )
    return Picture(data_address(png(figure), "png"), said)


def _words(followed: Followed, slots: Sequence[int]) -> str:
    changes = (followed.queries[1:] != followed.queries[:-1]).sum(0)
    switched = ", ".join(f"{slot + 1}: {int(changes[slot])}" for slot in slots)
    said = (
        "Above: the score of the class that the object has in the end; thin in this frame alone, "
        "thick from the logits averaged so far. Middle: cosine similarity of the object's query to "
        "its query in the frame before, dotted that of the nearest other query. Below: which query "
        f"of the frame it was. Changes of the query over {len(followed.places)} frames, by object: "
        f"{switched}."
    )
    ahead = (followed.similarity - followed.rival)[1:, list(slots)]
    if ahead.numel() and bool(torch.isfinite(ahead).all()):
        share = float((ahead > 0).float().mean())
        said += f" The own query is ahead of the nearest other in {share:.0%} of the links."
    return said


def _colour(slot: int) -> tuple[float, float, float]:
    """The colour of an object in pictures, darker: on white."""
    red, green, blue = (0.82 * part / 255 for part in instance_colour(slot + 1))
    return red, green, blue
