from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from stpn_core.command import (
    hint,
    list_recipes,
    parse_flags,
    pick_recipe,
    preset,
    read_text,
    replace_in,
    run_verb,
    show_notes,
)
from stpn_core.errors import InputError


def train(argv: Sequence[str]) -> int:
    """Train it.

    More.
    """
    return len(argv)


VERBS = {"train": train}


def test_a_verb_gets_the_arguments_after_it():
    assert run_verb("toy", "Toys.", VERBS, ["train", "--a", "b"]) == 2


@pytest.mark.parametrize("argv", [[], ["-h"], ["--help"]])
def test_verbs_are_listed(argv, capsys):
    assert run_verb("toy", "Toys.", VERBS, argv) == 0
    said = capsys.readouterr().out
    assert "usage: stpn toy VERB" in said
    assert "train     Train it.\n" in said
    assert "More" not in said


def test_a_typing_error_names_the_nearest():
    with pytest.raises(InputError, match=r"no verb 'trian'; did you mean train\?"):
        run_verb("toy", "Toys.", VERBS, ["trian"])
    assert hint("zzz", ["a", "b"]) == "there are a, b"


def test_recipes_are_picked_and_listed(capsys):
    def small() -> int:
        """A small one.

        More."""
        return 3

    assert pick_recipe("small", {"small": small}) == 3
    with pytest.raises(InputError, match=r"no recipe 'smal'; did you mean small\?"):
        pick_recipe("smal", {"small": small})
    list_recipes({"small": small})
    assert capsys.readouterr().out == "small  A small one.\n"


@dataclass(frozen=True)
class Flags:
    """Flags of a toy."""

    steps: int = 3


def test_flags_become_a_dataclass(capsys):
    assert parse_flags(Flags, ["--steps", "5"], "stpn toy") == Flags(5)
    assert parse_flags(Flags, [], "stpn toy", Flags(7)) == Flags(7)
    with pytest.raises(SystemExit) as caught:
        parse_flags(Flags, ["--stps", "5"], "stpn toy")
    assert caught.value.code == 2
    assert "--steps" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00\xd8")
    assert read_text(tmp_path / "a") == "text"
    for name in ("b", "missing", "."):
        with pytest.raises(InputError, match="cannot be read"):
            read_text(tmp_path / name)


@pytest.mark.parametrize(("rank", "level"), [("0", logging.INFO), ("1", logging.NOTSET)])
def test_notes_of_the_first_rank_are_shown(rank, level, monkeypatch):
    monkeypatch.setenv("RANK", rank)
    logger = logging.getLogger("toy_package")
    logger.setLevel(logging.NOTSET)
    show_notes("toy_package")
    assert logger.level == level


@dataclass(frozen=True)
class Part:
    depth: int = 1
    width: int = 2


@dataclass(frozen=True)
class Whole:
    part: Part
    name: str = "whole"


def test_one_field_of_one_part_is_replaced():
    whole = Whole(Part())
    assert replace_in(whole, "part", width=5) == Whole(Part(1, 5))
    assert whole == Whole(Part())
    with pytest.raises(TypeError, match="heigth"):
        replace_in(whole, "part", heigth=5)


def test_a_preset_is_a_recipe_function_of_another_name():
    def base() -> Whole:
        """The base."""
        return Whole(Part())

    def wide(whole: Whole) -> Whole:
        """Wider.

        More.
        """
        return replace_in(whole, "part", width=9)

    make = preset(wide, base)
    assert make() == Whole(Part(1, 9))
    assert make.__name__ == "base_wide"
    assert make.__doc__ == "Wider. See `base`."
