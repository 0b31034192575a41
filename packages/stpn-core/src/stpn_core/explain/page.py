"""One HTML file that needs no other. Needs jinja2 (extra `explain`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import jinja2

from stpn_core.errors import StpnError
from stpn_core.runs import replace_file


@dataclass(frozen=True)
class Picture:
    """A data address and what it shows."""

    address: str
    caption: str


def write_page(path: Path, package: str, page: object) -> None:
    """Fill `page.html.jinja` of `package` with `page` and write it whole or not at all. Raises
    StpnError if it cannot be written."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.jinja").render(page=page)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise StpnError(f"{path}: cannot be written: {error.strerror or error}") from error
