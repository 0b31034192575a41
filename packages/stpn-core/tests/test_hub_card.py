from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from stpn_core.errors import InputError
from stpn_core.hub import Card, RunRecord, render_card

CARD = Card(
    name="mine",
    about="About it.",
    task="object-detection",
    commands=["stpn toy predict VIDEO"],
    python=["from toy import load", 'load("mine")'],
    tags=["toy"],
    licence="cc-by-nc-4.0",
    classes=["cat", "dog"],
    data={"data": "pets"},
    record=RunRecord(1200, {}, {"AP": 0.25, "AP50": 0.5}),
    measured="On the validation split.",
    versions=["torch", "no-such-package"],
)


def header(text: str) -> dict[str, Any]:
    start, middle, _ = text.split("---\n", 2)
    assert start == ""
    found = yaml.safe_load(middle)
    assert isinstance(found, dict)
    return found


def test_what_a_card_says() -> None:
    text = render_card(CARD)
    assert header(text) == {
        "library_name": "stpn",
        "pipeline_tag": "object-detection",
        "license": "cc-by-nc-4.0",
        "tags": ["stpn", "toy"],
    }
    for line in (
        "# mine", "About it.", "stpn toy predict VIDEO", 'load("mine")', "2 classes: cat, dog.",
        "| data | pets |", "| step of these weights | 1,200 |", "On the validation split.",
        "| AP | 0.2500 |", "| AP50 | 0.5000 |",
    ):  # fmt: skip
        assert f"\n{line}\n" in text
    assert "no-such-package (unknown)" in text
    assert "torch 2" in text
    assert "cc-by-nc-4.0, says who published" in text


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    text = render_card(replace(CARD, record=None, licence="", classes=[]))
    assert header(text)["license"] == "unknown"
    assert "record of the training is not part" in text
    assert "not validated" in text
    assert "Nobody has stated one" in text
    assert "classes:" not in text
    assert "AP50" not in text
    unvalidated = render_card(replace(CARD, record=RunRecord(7, {}, {})))
    assert "not validated" in unvalidated
    assert "| step of these weights | 7 |" in unvalidated


def test_names_from_data_are_only_names() -> None:
    bad = "<script>x</script> | [a](http://b) ![c](d) **e** `f`\n---\nlicense: mit\n# top"
    text = render_card(replace(CARD, name=bad, classes=[bad], data={"data": bad}, tags=[bad]))
    assert header(text)["license"] == "cc-by-nc-4.0"
    assert header(text)["tags"] == ["stpn", bad]
    body = text.split("---\n", 2)[2].splitlines()
    (title,) = [line for line in body if line.startswith("# ")]
    (row,) = [line for line in body if line.startswith("| data |")]
    (classes,) = [line for line in body if line.startswith("1 class: ")]
    for written in (title[2:], row[len("| data |") : -1], classes):
        assert "script" in written
        unescaped = re.sub(r"\\[^\w\s]", "", written)
        assert not re.search(r"[<>|\[\]*`#!]", unescaped), unescaped


@pytest.mark.parametrize("licence", ["MIT", "apache 2.0", "mit\ntags: x", "-", "mit: x"])
def test_a_licence_is_an_identifier(licence: str) -> None:
    with pytest.raises(InputError, match="identifiers are of lower-case"):
        render_card(replace(CARD, licence=licence))


def test_many_classes_are_cut() -> None:
    text = render_card(replace(CARD, classes=[f"c{i}" for i in range(99)]))
    assert "99 classes: c0, c1" in text
    assert "c39 and 59 more." in text
    assert "c40" not in text
