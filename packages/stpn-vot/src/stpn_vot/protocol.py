"""What a tracker was trained on, as far as results may be compared; light to import.

`got10k`: the training split of GOT-10k alone (one-shot: classes of the test split are others), apart
from a backbone trained on ImageNet. `full`: more than that. `unknown`: nobody says, as in weights of
other projects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from stpn_core.errors import InputError

Protocol = Literal["got10k", "full", "unknown"]

KEY = "protocol"
"""Its name in the header of a weights file and in a record of results."""


def protocol_of(values: Mapping[str, object], where: str) -> Protocol:
    """The protocol in a header or a record, unknown if there is none. Raises InputError for another
    word."""
    value = values.get(KEY, "unknown")
    for known in get_args(Protocol):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"{where}: protocol {value!r}: expected {', '.join(get_args(Protocol))}")


def stated(recorded: Protocol, said: Protocol | None, where: str) -> Protocol:
    """The protocol that a file records, or what a user says of one that does not.

    Raises InputError if both say something, and not the same.
    """
    if said is None or said == recorded:
        return recorded
    if recorded == "unknown":
        return said
    raise InputError(
        f"{where} records the protocol {recorded}, so --protocol {said} would be wrong: leave it out"
    )


def common_protocol(protocols: Mapping[str, Protocol]) -> Protocol:
    """The one protocol of all rows of a table, by their names.

    Raises InputError if there are several: numbers of one are no measure for the other.
    """
    found = sorted(set(protocols.values()))
    if len(found) > 1:
        said = "; ".join(
            f"{protocol}: " + ", ".join(n for n, p in protocols.items() if p == protocol)
            for protocol in found
        )
        hint = (
            " (--protocol says it for results without a record of it)" if "unknown" in found else ""
        )
        raise InputError(
            f"results of different protocols do not belong in one table: {said}. Trained on more than "
            f"GOT-10k, a tracker scores higher there: make a table for each{hint}"
        )
    return found[0]
