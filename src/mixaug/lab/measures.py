"""A number of a network, its unit and its direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """A number that is measured after an epoch.

    Args:
        name: what it is called.
        unit: in which it is written.
        field: where it is in epochs.jsonl.
        factor: from there to the unit.
        digits: after the point.
        better: 1 where more is better, -1 where less is, 0 where neither is.
        timed: whether it is a time, which is reported as a median and a range over all epochs and seeds.
    """

    name: str
    unit: str
    field: str
    factor: float
    digits: int
    better: int = 0
    timed: bool = False

    def of(self, line: Mapping[str, Any]) -> float:
        """Its value in an epoch, in its unit."""
        return float(line[self.field]) * self.factor
