"""What the sub-commands of every task share: verbs, hints for typing errors, flags, notes."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from stpn_core.errors import InputError

Verb = Callable[[Sequence[str]], int]
"""Takes the arguments after its name and returns the exit code; its docstring's first line is shown
in the list of verbs."""

T = TypeVar("T")


def run_verb(task: str, about: str, verbs: Mapping[str, Verb], argv: Sequence[str]) -> int:
    """Run the verb that `argv` starts with, or list the verbs.

    Raises InputError naming the nearest verb if there is none of that name.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: stpn {task} VERB ...\n\n{about}\n\nverbs:")
        width = max(8, *map(len, verbs))
        for name, verb in verbs.items():
            print(f"  {name:<{width}}  {(verb.__doc__ or '').splitlines()[0]}")
        print(f"\n`stpn {task} VERB --help` explains a verb.")
        return 0
    if argv[0] not in verbs:
        raise InputError(f"stpn {task} has no verb {argv[0]!r}; {hint(argv[0], verbs)}")
    return verbs[argv[0]](argv[1:])


def run_alone(main: Verb, argv: Sequence[str]) -> int:
    """Run a command that needs no `stpn` around it; an error that carries an exit code is printed,
    and its code returned (see `stpn_core.errors`)."""
    try:
        return main(argv)
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if not isinstance(code, int):
            raise
        print(f"error: {error}", file=sys.stderr)
        return code


def hint(name: str, choices: Iterable[str]) -> str:
    """The choice that `name` was probably meant to be, or all of them."""
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(choices)}"


def pick_recipe(name: str, recipes: Mapping[str, Callable[[], T]]) -> T:
    """What the recipe function of that name returns. Raises InputError naming the nearest one."""
    if name not in recipes:
        raise InputError(f"no recipe {name!r}; {hint(name, recipes)}")
    return recipes[name]()


def list_recipes(recipes: Mapping[str, Callable[[], T]]) -> None:
    """Print each recipe with the first line of its docstring."""
    width = max(map(len, recipes))
    for name, make in recipes.items():
        print(f"{name:<{width}}  {(make.__doc__ or '').splitlines()[0]}")


def preset(change: Callable[[T], T], base: Callable[[], T]) -> Callable[[], T]:
    """A recipe function: `change` of what `base` returns. Its first line of help is that of `change`."""

    def make() -> T:
        return change(base())

    make.__doc__ = f"{(change.__doc__ or '').splitlines()[0]} See `{base.__name__}`."
    make.__name__ = f"{base.__name__}_{change.__name__}"
    return make


def replace_in(settings: T, part: str, **values: Any) -> T:
    """A dataclass with some fields of one of its parts, a dataclass too, replaced."""
    changed = dataclasses.replace(getattr(settings, part), **values)
    return dataclasses.replace(settings, **{part: changed})  # type: ignore[type-var]


def parse_flags(kind: type[T], argv: Sequence[str], prog: str, default: T | None = None) -> T:
    """Read a command line into a dataclass; prints help or a message and exits (code 2) where it
    is not one."""
    import tyro

    return cast(T, tyro.cli(kind, args=list(argv), prog=prog, default=default))


def read_text(path: str | Path) -> str:
    """The text of a file that the user named. Raises InputError if it cannot be read."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def show_notes(*packages: str) -> None:
    """Notes of these packages go to the terminal, those of other ranks and packages if they warn."""
    logging.basicConfig(format="%(message)s")
    if os.environ.get("RANK", "0") == "0":
        for package in packages:
            logging.getLogger(package).setLevel(logging.INFO)
