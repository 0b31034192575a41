"""`stpn vot`: each verb imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Sequence

from stpn_core.command import Verb, parse_flags, run_verb


def main(argv: Sequence[str]) -> int:
    """Visual object tracking."""
    return run_verb("vot", "Visual object tracking.", VERBS, argv)


def evaluate(argv: Sequence[str]) -> int:
    """GOT-10k's numbers of any tracker's results: `stpn vot eval RESULTS --data GOT-10k`."""
    from stpn_vot.arguments import EvalArguments

    arguments = parse_flags(EvalArguments, argv, "stpn vot eval")

    from stpn_vot.eval_command import run

    return run(arguments)


VERBS: dict[str, Verb] = {"eval": evaluate}
