from __future__ import annotations

from stpn_data.skipped import NAMED, Skipped


def test_every_reason_is_counted_and_its_first_few_are_named():
    skipped = Skipped()
    for number in range(1000):
        skipped.add([f"all padding: v0/{number}: nothing of the crop lies in the frame"])
    skipped.add(["unreadable: v1/000007: truncated", "all padding: v2/1: the same"])
    assert skipped.total == 1002
    assert skipped.by_reason == {"all padding": 1001, "unreadable": 1}
    assert len(skipped.named) == NAMED + 1, "it does not grow"
    assert skipped.named[0].startswith("all padding: v0/0: ")
    assert skipped.named[-1] == "unreadable: v1/000007: truncated", "not drowned by the others"
