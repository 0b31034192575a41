"""Which rows of a class layer trained on COCO mean something to other classes.

The last row of a class layer is "no object".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpn_core.errors import InputError

# in the order of COCO's 80 category ids
COCO = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"),
    *("traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat"),
    *("dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack"),
    *("umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball"),
    *("kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket"),
    *("bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
    *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair"),
    *("couch", "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse"),
    *("remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink"),
    *("refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier"),
    "toothbrush",
)
# names of video data sets (YouTube-VIS, OVIS) for what COCO calls otherwise
_ALIASES = {
    "sedan": "car",
    "motorbike": "motorcycle",
    "flying disc": "frisbee",
    "vehical": "car",
    "poultry": "bird",
}
_OTHER_MEANING = {"mouse"}  # an animal there, a device in COCO


def coco_rows(classes: Sequence[str]) -> dict[int, int]:
    """The row of each class that COCO has, too, by the class's own row."""
    rows = {}
    for row, name in enumerate(classes):
        plain = name.lower().replace("_", " ").strip()
        plain = _ALIASES.get(plain, plain)
        if plain in COCO and plain not in _OTHER_MEANING:
            rows[row] = COCO.index(plain)
    return rows


def rows_from_coco(layer: Tensor, start: Tensor, classes: Sequence[str]) -> Tensor:
    """A class layer (C + 1, ...) for `classes`: rows that COCO's layer (81, ...) has, too, and "no
    object", from there; the others from `start` (C + 1, ...).

    Raises InputError if `layer` is not COCO's, or there are not C class names.
    """
    if len(layer) != len(COCO) + 1:
        raise InputError(
            f"the initial class layer has {len(layer)} rows, COCO's has {len(COCO) + 1}: set the "
            "class layer's policy to drop"
        )
    if len(classes) != len(start) - 1:
        raise InputError(
            f"rows of COCO's class layer go by names: {len(classes)} class names for "
            f"{len(start) - 1} classes"
        )
    found = start.clone()
    rows = coco_rows(classes)
    with torch.no_grad():
        found[list(rows)] = layer[list(rows.values())].to(found)
        found[-1] = layer[-1].to(found)
    return found
