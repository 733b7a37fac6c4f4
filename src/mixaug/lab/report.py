"""The report of comparisons: an HTML file that shows which arm helped, and with what confidence."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image

import mixaug

from . import metrics
from .errors import LabError
from .folder import write_text
from .measures import Measure
from .results import Arm, Results, damaged


def write(*folders: Path, out: Path | None = None) -> Path:
    """Write report.html, summary.json and summary.csv for run folders of `compare`, each atomically.

    Except for curves and times, all numbers are from the last epoch of finished runs. The page needs no network.

    Args:
        folders: one or more run folders.
        out: the folder to write to; None: the run folder, if there is only one.

    Returns:
        The path of the report.

    Raises:
        LabError: if a folder is not a run folder, is damaged, has no finished epoch or is given twice, or if the output
            cannot be written.
    """
    if not folders or (out is None and len(folders) > 1):
        raise LabError(
            f"expected one run folder, or several and a folder for the report, got {len(folders)}: name --out"
        )
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise LabError(f"expected different run folders, got {', '.join(map(str, folders))}: name each once")
    several = len(folders) > 1
    runs = [_Run(Results.read(folder), f"-{number}" if several else "") for number, folder in enumerate(folders, 1)]
    page = _template().render(runs=runs, level=3 if several else 2, mixaug_version=mixaug.__version__)
    summaries = [summary(run.results) for run in runs]
    place = out or folders[0]
    write_text(
        place / "summary.json", json.dumps(summaries if several else summaries[0], indent=2, allow_nan=False) + "\n"
    )
    write_text(place / "summary.csv", _table(runs))
    write_text(place / "report.html", page)
    return place / "report.html"


def summary(results: Results) -> dict[str, Any]:
    """Return the numbers of a run folder's report: values by seed and intervals, for each arm and measure."""
    return {
        "name": results.folder.resolve().name,
        "config": asdict(results.config),
        "versions": results.versions,
        "data": results.data,
        "steps": results.steps,
        "judged": results.task.judged.field,
        "arms": [_summary(arm) for arm in results.arms()],
        "warnings": results.warnings(),
    }


def _summary(arm: Arm) -> dict[str, Any]:
    measures = arm.results.table
    return {
        "arm": arm.name,
        "seeds": arm.seeds,
        "measures": {measure.field: _numbers(arm, measure) for measure in measures} if arm.seeds else {},
        "verdict": None if arm.name == "none" else f"{arm.name} {arm.verdict}",
    }


def _numbers(arm: Arm, measure: Measure) -> dict[str, Any]:
    """Return the numbers of a measure in its unit; the interval of a single seed is null."""
    about = {"name": measure.name, "unit": measure.unit, "better": measure.better}
    if measure.timed:
        return {**about, **dict(zip(("median", "smallest", "largest"), arm.spread(measure), strict=True))}
    values = arm.results.last(arm.name, arm.seeds, measure)
    mean, half = metrics.interval(values)
    pair = arm.paired(measure)
    difference = pair and {"seeds": arm.pairs, "mean": pair[0], "half_interval": _or_none(pair[1])}
    return {**about, "values": values, "mean": mean, "half_interval": _or_none(half), "difference": difference}


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _table(runs: Sequence[_Run]) -> str:
    """Return one line for each finished run and measure."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["run", "arm", "seed", "epoch", "measure", "unit", "value"])
    for run in runs:
        results, epochs = run.results, run.results.config.epochs
        for arm in results.arms():
            for seed in arm.seeds:
                for measure in results.table:
                    (value,) = results.last(arm.name, [seed], measure)
                    lines.writerow([run.name, arm.name, seed, epochs, measure.field, measure.unit, repr(value)])
    return text.getvalue()


class _Run:
    """A run folder on the page.

    Args:
        results: its results.
        suffix: the suffix of its element ids on the page; "" for a single run folder.
    """

    def __init__(self, results: Results, suffix: str) -> None:
        self.results, self.suffix = results, suffix
        self.name = results.folder.resolve().name
        self.config, self.task = results.config, results.task
        self.arms = [_Shown(results, index) for index in range(len(results.config.arms))]
        self.warnings = results.warnings()
        self.charts = [_Chart(measure, self.arms) for measure in results.task.curves]
        self.extent = max((arm.reach for arm in self.arms), default=0.0)


@dataclass(frozen=True)
class _Shown(Arm):
    """An arm, with pictures."""

    @property
    def colour(self) -> int:
        """The number of its colour; 0 is that of the baseline."""
        others = [arm for arm in self.results.config.arms if arm != "none"]
        return 0 if self.name == "none" else 1 + others.index(self.name) % 6

    @property
    def sheet(self) -> dict[str, Any]:
        """The picture of its training images."""
        path = self.results.folder / "sheets" / f"{self.index}.png"
        try:
            return _embedded(path.read_bytes())
        except OSError as error:
            raise damaged(path, "a PNG of what the arm was fed", error) from error

    @cached_property
    def picture(self) -> dict[str, Any] | None:
        """The picture of its network's outputs for the first test images."""
        if self.detail.picture is None:
            return None
        content = io.BytesIO()
        self.detail.picture.save(content, "PNG", optimize=True)
        return _embedded(content.getvalue())


def _embedded(content: bytes) -> dict[str, Any]:
    """Return the size of a PNG, and the PNG as a data URL."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        width, height = image.size
    return {"width": width, "height": height, "url": f"data:image/png;base64,{base64.b64encode(content).decode()}"}


class _Chart:
    """The learning curves of a measure, in the units of an SVG of `width` x `height`."""

    width, height = 340, 230
    left, right, top, bottom = 46, 330, 10, 200

    def __init__(self, measure: Measure, arms: Sequence[Arm]) -> None:
        self.measure = measure
        self.curves = [_Curve.of(measure, arm) for arm in arms]
        self.epochs = _Axis(1, arms[0].results.config.epochs, self.left, self.right, whole=True)
        low = min((value for curve in self.curves for value in curve.low), default=0.0)
        high = max((value for curve in self.curves for value in curve.high), default=1.0)
        self.values = _Axis(low, high, self.bottom, self.top)

    def line(self, curve: _Curve) -> str:
        """Return the points of the mean."""
        return self._points(curve.epochs, curve.mean)

    def band(self, curve: _Curve) -> str:
        """Return the corners of the band from the lowest seed to the highest."""
        return f"{self._points(curve.epochs, curve.low)} {self._points(curve.epochs[::-1], curve.high[::-1])}"

    def _points(self, epochs: Sequence[int], values: Sequence[float]) -> str:
        return " ".join(f"{self.epochs.at(e):.1f},{self.values.at(v):.1f}" for e, v in zip(epochs, values, strict=True))

    @property
    def words(self) -> str:
        """The curves as text, for screen readers."""
        ends = [f"{c.arm.name} from {c.mean[0]:.4g} to {c.mean[-1]:.4g}" for c in self.curves if c.epochs]
        return f"{self.measure.name} {self.measure.unit} by epoch: {'; '.join(ends)}."


@dataclass(frozen=True)
class _Curve:
    """A measure by epoch: the mean, lowest and highest over the seeds that reached the epoch."""

    arm: Arm
    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    @classmethod
    def of(cls, measure: Measure, arm: Arm) -> _Curve:
        last = max(map(len, arm.lines))
        seen = {e: [measure.of(run[e]) for run in arm.lines if e in run] for e in range(1, last + 1)}
        seen = {epoch: values for epoch, values in seen.items() if np.isfinite(values).all()}
        mean, low, high = ([float(reduce(values)) for values in seen.values()] for reduce in (np.mean, min, max))
        return cls(arm, list(seen), mean, low, high)


class _Axis:
    """An axis of a chart: maps numbers from low to high to positions, and chooses the ticks."""

    def __init__(self, low: float, high: float, first: float, last: float, *, whole: bool = False) -> None:
        pad = 0.5 if low == high else 0.0
        self.low, self.high, self.first, self.last = low - pad, high + pad, first, last
        ticks = MaxNLocator(5, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)
        self.ticks = [(f"{tick:g}", self.at(tick)) for tick in ticks if self.low <= tick <= self.high]

    def at(self, number: float) -> float:
        """Return the position of a number."""
        return self.first + (self.last - self.first) * (number - self.low) / (self.high - self.low)


def _template() -> jinja2.Template:
    source = resources.files("mixaug.lab").joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(source)
