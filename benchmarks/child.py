"""What all processes of the benchmarks share: measuring, and writing the rows as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import streams, timing, workloads
from .timing import Contender, Row
from .workloads import Case, Pipelines, Work

Rows = Callable[[bool], Iterable[Row]]


def main(process: str, rows: Rows, packages: Sequence[str]) -> None:
    """Measure the rows of this process and write them to --out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    found = [asdict(replace(row, process=process)) for row in rows(asked.short)]
    asked.out.write_text(json.dumps({"rows": found, "versions": versions(packages)}))


def batches(contenders: Callable[[Work, Case], list[Contender]], short: bool, few: bool = False) -> Iterator[Row]:
    """The rows of A, B and C, optionally of a quarter of the cases."""
    for work in workloads.works(short):
        for case in work.cases[:: 4 if few else 1]:
            yield from timing.measure(
                work.name, case.name, contenders(work, case), work.pace, work.nbytes(case), work.rows
            )


def pipelines(contenders: Callable[[Pipelines], list[Contender]], short: bool) -> Iterator[Row]:
    """The rows of the pipelines."""
    data = workloads.pipelines(short)
    yield from streams.measure(data, contenders(data))


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The versions of the packages that are installed."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
