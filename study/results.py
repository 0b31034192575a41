"""What has been measured so far, read from the result files, and compared seed by seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.arms import ARMS, SUPPORT_TESTS, TIERS, TWIN
from study.intervals import Interval, interval

Record = Mapping[str, Any]
OWN = "own"


@dataclass(frozen=True)
class Results:
    """records: by arm, then by seed."""

    records: Mapping[str, Mapping[int, Record]]

    @property
    def arms(self) -> list[str]:
        """Arms with a result, in order of importance."""
        return [arm for tier in TIERS for arm in tier if self.records.get(arm)]

    @property
    def complete(self) -> list[str]:
        """Arms with every seed that the twin has."""
        return [arm for arm in self.arms if set(self.seeds(arm)) >= set(self.seeds(TWIN))]

    @property
    def missing(self) -> list[str]:
        """Arms without any result."""
        return [arm for arm in ARMS if not self.records.get(arm)]

    def seeds(self, arm: str) -> list[int]:
        return sorted(self.records.get(arm, {}))

    def value(self, arm: str, seed: int, group: str, name: str, test: str = OWN) -> float | None:
        """A percentage, or None where that was not measured or nothing is annotated."""
        scores = self.records[arm][seed]["tests"].get(test, {})
        value = scores.get(group, {}).get(name, -1.0)
        return 100 * value if value >= 0 else None

    def seeds_with(self, arm: str, test: str) -> list[int]:
        """Seeds of an arm that were tested so."""
        return [s for s in self.seeds(arm) if test in self.records[arm][s]["tests"]]

    def absolute(
        self,
        arm: str,
        group: str,
        name: str,
        test: str = OWN,
        seeds: Sequence[int] | None = None,
    ) -> Interval | None:
        """Over the seeds of an arm, all of them by default."""
        chosen = self.seeds(arm) if seeds is None else seeds
        values = [self.value(arm, seed, group, name, test) for seed in chosen]
        known = [value for value in values if value is not None]
        return interval(known) if known else None

    def gain(
        self,
        arm: str,
        group: str,
        name: str,
        *,
        test: str = OWN,
        base: str = TWIN,
        base_test: str = OWN,
        seeds: Sequence[int] | None = None,
    ) -> Interval | None:
        """Difference to another arm, or to another test of it, over the seeds that have both."""
        chosen = self.seeds(arm) if seeds is None else seeds
        pairs = [
            (
                self.value(arm, seed, group, name, test),
                self.value(base, seed, group, name, base_test),
            )
            for seed in chosen
            if seed in self.seeds(base)
        ]
        known = [a - b for a, b in pairs if a is not None and b is not None]
        return interval(known) if known else None

    def cost(self, arm: str, name: str) -> float | None:
        """Mean over seeds."""
        values = [record["cost"][name] for record in self.records[arm].values()]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    def tests(self, arm: str) -> list[str]:
        """Names of all tests that some seed of an arm has."""
        found = [name for record in self.records.get(arm, {}).values() for name in record["tests"]]
        return list(dict.fromkeys(found))


def read_results(folder: Path) -> Results:
    """All result files of a folder."""
    records: dict[str, dict[int, dict[str, Any]]] = {}
    further = []
    for path in sorted(folder.glob("*-seed*.json")):
        record = json.loads(path.read_text())
        if path.name.startswith(SUPPORT_TESTS):
            further.append(record)
        else:
            records.setdefault(record["arm"], {})[record["seed"]] = record
    for record in further:
        tested = records.get(record["arm"], {}).get(record["seed"])
        if tested is not None:
            tested["tests"] |= record["tests"]
    return Results(records)
