"""How much a frame looks at its prompts, as pictures. Needs Pillow and matplotlib (extra
`explain`)."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from torch import Tensor

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from stpn_core.encoder import PromptedEncoder, Prompts
from stpn_core.errors import InputError
from stpn_core.explain.pictures import heat_over, labelled, rows_of
from stpn_core.explain.prompt_mass import PromptMass, prompt_mass
from stpn_core.explain.support_look import covered

BLOCK_HEIGHT = 150  # pixels of the frame that stands for a block
PER_ROW = 6  # blocks
CAPTION = (
    "The share of a token's attention that goes to all prompts together, mean of tokens and heads. "
    "A share below the dashed line means that prompts are looked at less than the frame's own "
    "tokens. Attention is not influence: values and later layers decide what comes of it."
)


def mass_of(
    encoder: PromptedEncoder, image: Tensor, prompts: Prompts | None
) -> list[PromptMass] | str:
    """`prompt_mass` of a frame, or why it cannot be read. Empty without prompts."""
    if prompts is None:
        return []
    try:
        return prompt_mass(encoder, image, prompts)
    except InputError as error:
        return str(error)


def mass_picture(image: Tensor, found: Sequence[PromptMass]) -> Tensor:
    """uint8: the frame, uint8 (3, h, w) at network size before padding, once for each block, hot
    where tokens look at their prompts more than at other tokens; one scale for all blocks."""
    ratios = [one.mass / one.even for one in found]
    most = max(float(ratio.max()) for ratio in ratios)
    cells = [
        labelled(
            heat_over(image, ratio / most, covered(ratio, one.stride)), one.block, BLOCK_HEIGHT
        )
        for one, ratio in zip(found, ratios, strict=True)
    ]
    return rows_of([cells[i : i + PER_ROW] for i in range(0, len(cells), PER_ROW)])


def mass_words(found: Sequence[PromptMass]) -> str:
    """The mean of each block, as a sentence."""
    ratios = ", ".join(f"{float((one.mass / one.even).mean()):.1f}" for one in found)
    return (
        "Attention of the frame's tokens on the prompts, as a multiple of what it would be if they "
        f"looked at all that they see alike; mean of each block: {ratios}."
    )


def mass_by_block(frames: Sequence[Sequence[PromptMass]]) -> bytes:
    """PNG: share of the attention that goes to prompts, block by block: each frame, their mean, and
    what even attention would give."""
    blocks = [one.block for one in frames[0]]
    shares = np.array([[100 * float(one.mass.mean()) for one in frame] for frame in frames])
    even = [
        100 * float(np.mean([frame[i].even.mean() for frame in frames])) for i in range(len(blocks))
    ]
    figure, axis = plt.subplots(
        figsize=(max(5.0, 0.42 * len(blocks) + 2), 3.2), layout="constrained"
    )
    places = np.arange(len(blocks))
    axis.plot(places, shares.T, color="#d1495b", alpha=0.35, lw=1)
    axis.plot(places, shares.mean(0), color="#d1495b", marker="o", label="mean of the frames above")
    axis.plot(places, even, color="#555", ls="--", label="if all were looked at alike")
    axis.set_xticks(places, blocks, rotation=35, ha="right", fontsize=8)
    axis.set(ylabel="attention on prompts, %", ylim=(0, None))
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return png(figure)


def png(figure: Figure) -> bytes:
    """The figure, closed; the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()
