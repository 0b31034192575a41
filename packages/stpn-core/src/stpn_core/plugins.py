"""Finding what other distributions add: sub-commands and weight converters.

A distribution registers with entry points (`stpn.commands`, `stpn.converters`). Nothing here knows
which distributions exist, and one that cannot be imported is reported under its own name without
hiding the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any

from stpn_core.errors import InputError

COMMANDS = "stpn.commands"
CONVERTERS = "stpn.converters"


class PluginBroken(InputError):
    """A registered plugin cannot be imported, or two distributions claim its name."""


@dataclass(frozen=True)
class Plugin:
    """One entry point: its name, the distribution that registers it, and how to load it."""

    name: str
    distribution: str
    version: str
    entry: EntryPoint
    rivals: tuple[str, ...] = ()  # other distributions that registered the same name

    def load(self) -> Callable[..., Any]:
        """Import the registered function.

        Raises:
            PluginBroken: the import failed (whatever it raised), or the name is claimed twice.
        """
        if self.rivals:
            raise PluginBroken(
                f"'{self.name}' is registered by more than one distribution: "
                f"{', '.join((self.distribution, *self.rivals))}; uninstall all but one"
            )
        try:
            function = self.entry.load()
        except (Exception, SystemExit) as error:
            raise PluginBroken(
                f"plugin '{self.name}' of {self.distribution} {self.version} cannot be loaded "
                f"({self.entry.value}): {type(error).__name__}: {error}; "
                f"reinstall or remove {self.distribution}"
            ) from error
        if not callable(function):
            raise PluginBroken(
                f"plugin '{self.name}' of {self.distribution} {self.version} is not a function: "
                f"{self.entry.value}"
            )
        return function


def find_plugins(group: str) -> list[Plugin]:
    """Plugins of a group, sorted by name; nothing is imported."""
    found = sorted(entry_points(group=group), key=lambda entry: (entry.name, _owner(entry)[0]))
    plugins = []
    for entry in found:
        rivals = [other for other in found if other.name == entry.name and other is not entry]
        names = tuple(_owner(other)[0] for other in rivals)
        plugins.append(Plugin(entry.name, *_owner(entry), entry, names))
    return plugins


def installed_distributions(prefix: str = "stpn-") -> list[tuple[str, str]]:
    """(name, version) of every installed distribution whose name starts with `prefix`."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name is None:  # a half-removed distribution leaves metadata without a name
            continue
        name = re.sub(r"[-_.]+", "-", name).lower()
        if name.startswith(prefix):
            found.setdefault(name, distribution.version)
    return sorted(found.items())


def _owner(entry: EntryPoint) -> tuple[str, str]:
    if entry.dist is None:
        return "an unknown distribution", "?"
    return entry.dist.name, entry.dist.version
