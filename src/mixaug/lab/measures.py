"""Measures of a network, with their units and directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """A number measured after an epoch.

    Args:
        name: the name in reports.
        unit: the unit in reports.
        field: the field in epochs.jsonl.
        factor: converts the field to the unit.
        digits: the number of decimals.
        better: 1 if more is better, -1 if less is better, otherwise 0.
        timed: whether it is a time, reported as the median and range over all epochs and seeds.
    """

    name: str
    unit: str
    field: str
    factor: float
    digits: int
    better: int = 0
    timed: bool = False

    def of(self, line: Mapping[str, Any]) -> float:
        """Return the value in an epoch, in its unit."""
        return float(line[self.field]) * self.factor
