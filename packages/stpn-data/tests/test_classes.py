from __future__ import annotations

import pytest

from stpn_data.classes import VID_NAMES, VID_WNIDS, label_table
from stpn_data.errors import DataError


def test_the_thirty_classes_in_canonical_order() -> None:
    assert len(VID_NAMES) == len(VID_WNIDS) == len(set(VID_WNIDS)) == 30
    assert (VID_NAMES[0], VID_WNIDS[0]) == ("airplane", "n02691156")
    assert (VID_NAMES[9], VID_WNIDS[9]) == ("domestic_cat", "n02121808")
    assert (VID_NAMES[29], VID_WNIDS[29]) == ("zebra", "n02391049")
    assert list(VID_NAMES[:24]) == sorted(VID_NAMES[:24])


def test_labels_by_name_and_by_wordnet_id() -> None:
    table = label_table(["zebra", "robot"])
    assert table == {"zebra": 0, "n02391049": 0, "robot": 1}
    for bad in (["a", "a"], ["a", ""], ["zebra", "n02391049"]):
        with pytest.raises(DataError, match="classes"):
            label_table(bad)
