"""What a page says about where prompts look."""

from __future__ import annotations


def prompts_note(predictor: str | None, shown: bool) -> str:
    """The sentence above the pictures of `support_look`, or instead of them. shown: whether there are
    any."""
    if predictor is None:
        return "This model has no prompts, so there is nothing to show."
    if predictor == "static":
        return (
            "Its prompts are learned and the same for every frame: they look at no support frame. "
            "What the frame makes of them is below."
        )
    if predictor == "mixer":
        return (
            "The mixer averages the support frames and mixes positions by fixed weights: no prompt "
            "chooses where to look, so there is no attention over the support to show. What the "
            "frame makes of the prompts is below."
        )
    if not shown:
        return "None of these frames has a support frame, so none has prompts."
    choice = (
        "The average predictor has no attention: of each support frame it takes the tokens with the "
        "largest norm, the first prompt the largest, and so on. Hot are the tokens that were taken. "
        if predictor == "average"
        else "Where the prompts' queries attend in the support frames, mean of the heads. "
    )
    return (
        f"{choice}Rows are prompts, columns support frames, numbered from the frame that they "
        "support; each row has its own scale, and the share of its attention on each frame."
    )
