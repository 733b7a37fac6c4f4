"""docs/benchmarks.svg, from the rows of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .results import Results
from .timing import COPY, LIMITS, Row

OURS, OTHER, EDGE = "#1f6fb4", "#8a8a8a", "#333333"
TITLE = "64 images of 224x224x3, uint8 to normalised float32\ntimes the copy of its bytes; CutMix filled, MixUp open"
COLUMNS = ("CutMix, uint8 to float32", "MixUp, uint8 to float32")


def write(run: Results, folder: Path) -> Path:
    """Draw both panels; without the day in the file, so that the same rows give the same bytes."""
    path = folder / "benchmarks.svg"
    batches, pipelines = of_batches(run), of_pipelines(run)
    figure = Figure(figsize=(13, 1.6 + 0.2 * max(len(batches), len(pipelines), 4)), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_batches(left, run, batches)
    draw_pipelines(right, pipelines)
    with mpl.rc_context({"svg.hashsalt": "mixaug", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(path, metadata={"Date": None})
    return path


def of_batches(run: Results) -> list[tuple[str, str]]:
    """The contenders of B that were measured, the slowest first."""
    slowest: dict[tuple[str, str], float] = {}
    for row in run.of("B"):
        if row.case in COLUMNS and row.times_copy is not None and row.name not in LIMITS:
            key = row.process, plain(row.name)
            slowest[key] = max(slowest.get(key, 0), row.times_copy)
    return sorted(slowest, key=lambda key: -slowest[key])


def plain(name: str) -> str:
    """A contender's name without the method in it."""
    for method in (".CutMix", ".MixUp"):
        name = name.replace(method, "")
    return name


def draw_batches(axes: Any, run: Results, names: Sequence[tuple[str, str]]) -> None:
    """Times the copy, CutMix filled and MixUp open."""
    for case, filled in zip(COLUMNS, (True, False), strict=True):
        found = {(row.process, plain(row.name)): row for row in run.of("B", case) if row.times_copy is not None}
        rows = [(place, found[name]) for place, name in enumerate(names) if name in found]
        for place, row in rows:
            color = OURS if row.ours else OTHER
            axes.plot(row.times_copy, place, "o", color=color, markerfacecolor=color if filled else "white")
    axes.set_yticks(range(len(names)), [f"{name}  [{process}]" for process, name in names], fontsize=8)
    axes.axvline(1, color=EDGE, linewidth=1)
    finish(axes, TITLE)


def of_pipelines(run: Results) -> list[Row]:
    """The pipelines of CutMix, and those that do not mix, the slowest first."""
    rows = [row for row in run.of("pipelines") if row.median is not None and row.name != COPY]
    wanted = [row for row in rows if "MixUp" not in row.name]
    return sorted(wanted, key=lambda row: -(row.median or 0))


def draw_pipelines(axes: Any, rows: Sequence[Row]) -> None:
    """Images a second."""
    rates = [1e3 * row.images / row.median for row in rows if row.median]
    axes.barh(range(len(rows)), rates, color=[OURS if row.ours else OTHER for row in rows], height=0.6)
    axes.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    finish(axes, "CutMix of 50,000 images of 32x32x3 in memory\nimages a second")


def finish(axes: Any, title: str) -> None:
    """What both panels have."""
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())  # these labels overlap where an axis has few decades
    axes.set_title(title, fontsize=9)
    axes.grid(axis="x", which="both", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
