"""The results of a run, saved as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .timing import COPY, Row


@dataclass(frozen=True)
class Results:
    """The rows of a run, and the machine and versions."""

    rows: Sequence[Row]
    about: dict[str, str]  # date, machine, command, ...: in the order of the page
    versions: dict[str, str] = field(default_factory=dict)
    short: bool = False

    def find(self, table: str, case: str, name: str, process: str = "") -> Row | None:
        """The row of a contender, or None if it was not measured."""
        for row in self.of(table, case):
            if row.name == name and process in ("", row.process) and row.median is not None:
                return row
        return None

    def of(self, table: str, case: str | None = None) -> list[Row]:
        """The rows of a table, optionally of one case."""
        return [row for row in self.rows if row.table == table and case in (None, row.case)]

    def save(self, path: Path) -> None:
        """Save the results."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def load(path: Path) -> Results:
    """Load saved results."""
    saved: dict[str, Any] = json.loads(path.read_text())
    return Results(**{**saved, "rows": [from_json(row) for row in saved["rows"]]})


def with_process(run: Results, process: str, path: Path) -> Results:
    """The results, with the rows of one process replaced by those of a file from another machine."""
    saved = json.loads(path.read_text())
    rows = [row for row in run.rows if row.process != process] + [from_json(row) for row in saved["rows"]]
    versions = ", ".join(f"{name} {number}" for name, number in saved["versions"].items())
    device = next((row.remark for row in rows if row.process == process and row.name == COPY), "none")
    command = f"`python -m benchmarks.contenders.{process} --out FILE`"
    where = f"{device}, another machine" + (f" on {saved['date']}" if "date" in saved else "")
    return replace(run, rows=rows, about={**run.about, process: f"{where}, {command}, {versions}"})


def from_json(row: dict[str, Any]) -> Row:
    """A row from JSON."""
    interval = row["interval"]
    return Row(**{**row, "interval": None if interval is None else tuple(interval)})
