"""What the processes found: their rows, kept as JSON between a run and the page that is written from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .timing import COPY, Row


@dataclass(frozen=True)
class Results:
    """The rows of a run, and what it ran on."""

    rows: Sequence[Row]
    about: dict[str, str]  # date, machine, command, ...: in the order of the page
    versions: dict[str, str] = field(default_factory=dict)
    short: bool = False

    def find(self, table: str, case: str, name: str, process: str = "") -> Row | None:
        """The measured row of a contender, if there is one."""
        for row in self.of(table, case):
            if row.name == name and process in ("", row.process) and row.median is not None:
                return row
        return None

    def of(self, table: str, case: str | None = None) -> list[Row]:
        """The rows of a table, or of a case of it."""
        return [row for row in self.rows if row.table == table and case in (None, row.case)]

    def save(self, path: Path) -> None:
        """Keep them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def load(path: Path) -> Results:
    """Those that were kept."""
    held: dict[str, Any] = json.loads(path.read_text())
    return Results(**{**held, "rows": [made(row) for row in held["rows"]]})


def with_process(run: Results, process: str, path: Path) -> Results:
    """The results with the rows of a process that ran elsewhere, and left them in a file."""
    held = json.loads(path.read_text())
    rows = [row for row in run.rows if row.process != process] + [made(row) for row in held["rows"]]
    versions = ", ".join(f"{name} {number}" for name, number in held["versions"].items())
    device = next((row.remark for row in rows if row.process == process and row.name == COPY), "none")
    command = f"`python -m benchmarks.contenders.{process} --out FILE`"
    where = f"{device}, another machine" + (f" on {held['date']}" if "date" in held else "")
    return replace(run, rows=rows, about={**run.about, process: f"{where}, {command}, {versions}"})


def made(row: dict[str, Any]) -> Row:
    """A row from JSON."""
    interval = row["interval"]
    return Row(**{**row, "interval": None if interval is None else tuple(interval)})
