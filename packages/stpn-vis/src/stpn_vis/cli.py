"""`stpn vis`: each verb imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stpn_core.errors import InputError

Verb = Callable[[Sequence[str]], int]
VERBS: dict[str, Verb] = {}


def main(argv: Sequence[str]) -> int:
    """Video instance segmentation."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: stpn vis VERB ...\n\nVideo instance segmentation.\n\nverbs:")
        for name, verb in VERBS.items():
            print(f"  {name:<8}  {(verb.__doc__ or '').splitlines()[0]}")
        return 0
    if argv[0] not in VERBS:
        raise InputError(f"stpn vis has no verb {argv[0]!r}; there are {', '.join(VERBS)}")
    return VERBS[argv[0]](argv[1:])
