"""One fault of a data set: where it is and what is wrong. Readers stop at one, an audit collects
all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

from stpn_data.errors import DataError


class Defect(NamedTuple):
    """A fault that a person has to mend."""

    kind: str  # a short name to count by, e.g. "annotation"
    place: str  # file, and line, object or JSON pointer where that helps
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


OnDefect = Callable[[Defect], None]


def refuse(defect: Defect) -> NoReturn:
    """The strict way to take a defect: raise DataError."""
    raise DataError(str(defect))
