"""The 30 classes of ImageNet VID in their canonical order, and their WordNet ids.

The order is the one of FGFA, MEGA and mmtracking: label 0 is airplane, label 29 zebra.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stpn_data.errors import DataError

_VID = (
    ("airplane", "n02691156"),
    ("antelope", "n02419796"),
    ("bear", "n02131653"),
    ("bicycle", "n02834778"),
    ("bird", "n01503061"),
    ("bus", "n02924116"),
    ("car", "n02958343"),
    ("cattle", "n02402425"),
    ("dog", "n02084071"),
    ("domestic_cat", "n02121808"),
    ("elephant", "n02503517"),
    ("fox", "n02118333"),
    ("giant_panda", "n02510455"),
    ("hamster", "n02342885"),
    ("horse", "n02374451"),
    ("lion", "n02129165"),
    ("lizard", "n01674464"),
    ("monkey", "n02484322"),
    ("motorcycle", "n03790512"),
    ("rabbit", "n02324045"),
    ("red_panda", "n02509815"),
    ("sheep", "n02411705"),
    ("snake", "n01726692"),
    ("squirrel", "n02355227"),
    ("tiger", "n02129604"),
    ("train", "n04468005"),
    ("turtle", "n01662784"),
    ("watercraft", "n04530566"),
    ("whale", "n02062744"),
    ("zebra", "n02391049"),
)

VID_NAMES: tuple[str, ...] = tuple(name for name, _ in _VID)
VID_WNIDS: tuple[str, ...] = tuple(wnid for _, wnid in _VID)


def label_table(classes: Sequence[str]) -> Mapping[str, int]:
    """Label of each name an annotation may use: the class itself or, for VID's, its WordNet id.

    Raises DataError if a class is empty or named twice.
    """
    table: dict[str, int] = {}
    wnid = dict(_VID)
    for label, name in enumerate(classes):
        for key in {name, wnid.get(name, name)}:
            if not key or key in table:
                raise DataError(f"classes: {name!r} is {'named twice' if key else 'empty'}")
            table[key] = label
    return table
