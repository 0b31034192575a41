"""`stpn vot`: each verb imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Sequence

from stpn_core.command import Verb, run_verb


def main(argv: Sequence[str]) -> int:
    """Visual object tracking."""
    return run_verb("vot", "Visual object tracking.", VERBS, argv)


VERBS: dict[str, Verb] = {}
