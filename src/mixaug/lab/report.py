"""The report of a comparison: one HTML file that says which arm helped, and how sure one can be of it."""

from __future__ import annotations

import base64
import io
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import jinja2
import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image

import mixaug

from . import metrics
from .config import Config
from .errors import LabError
from .folder import write_text
from .tasks import TASKS, Detail, Measure, Named, Task

Line: TypeAlias = dict[str, Any]  # what epochs.jsonl says of an epoch

STEPS_TO_JUDGE = 20_000  #: optimizer steps below which a run is too short to judge mixing


def write(out: Path) -> Path:
    """Write OUT/report.html, whole or not at all, from what `compare` left in the run folder OUT.

    Every number but those of the curves is of the last epoch and of finished runs. The file needs no network.

    Args:
        out: the run folder.

    Returns:
        The path of the report.

    Raises:
        LabError: the folder is none, is damaged, holds no finished epoch, or cannot be written.
    """
    results = Results.read(out)
    arms = [_Arm(results, index) for index in range(len(results.config.arms))]
    page = _template().render(
        results=results,
        config=results.config,
        task=results.task,
        arms=arms,
        warnings=list(_warnings(results, arms)),
        charts=[_Chart(measure, arms) for measure in results.task.curves],
        extent=max((arm.reach for arm in arms), default=0.0),
        mixaug_version=mixaug.__version__,
    )
    path = out / "report.html"
    write_text(path, page)
    return path


@dataclass(frozen=True)
class Results:
    """What a run folder holds.

    Args:
        folder: where it is.
        config: what was compared.
        versions: what it was computed with.
        classes: the names of the classes.
        steps: optimizer steps of a whole run.
        epochs: the line of each finished epoch, by arm and seed, then by epoch.
    """

    folder: Path
    config: Config
    versions: dict[str, Any]
    classes: tuple[str, ...]
    steps: int
    epochs: dict[tuple[str, int], dict[int, Line]]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """The results of a run folder.

        Raises:
            LabError: it is none, is damaged, or holds no finished epoch.
        """
        config = Config.read(folder)
        epochs = _epochs(folder / "epochs.jsonl", config)
        if not any(epochs.values()):
            raise LabError(f"expected a finished epoch in {folder}, got none yet: let it train, with --resume {folder}")
        versions = _object(folder / "versions.json", "the versions of a run")
        classes, images = _data(folder / "data.json")
        steps = config.epochs * -(-images // config.batch_size)
        return cls(folder, config, versions, classes, steps, epochs)

    @property
    def task(self) -> Task:
        """What was trained for."""
        return TASKS[self.config.task]

    def finished(self, arm: str) -> list[int]:
        """The seeds whose run of that arm has ended."""
        return [seed for seed in self.config.seeds if self._ended(arm, seed)]

    def _ended(self, arm: str, seed: int) -> bool:
        return self.config.epochs in self.epochs[arm, seed] and self.path(arm, seed).is_file()

    def unfinished(self) -> list[str]:
        """The runs that have not ended, in words."""
        runs = [(arm, seed) for arm in self.config.arms for seed in self.config.seeds if not self._ended(arm, seed)]
        return [
            f"{arm}, seed {seed} ({len(self.epochs[arm, seed])} of {self.config.epochs} epochs)" for arm, seed in runs
        ]

    def last(self, arm: str, seeds: Sequence[int], measure: Measure) -> list[float]:
        """A measure after the last epoch, for each of these seeds."""
        return [measure.of(self.epochs[arm, seed][self.config.epochs]) for seed in seeds]

    def path(self, arm: str, seed: int) -> Path:
        """The file of what a run's network made of the test images."""
        return self.folder / "runs" / f"{self.config.arms.index(arm)}-s{seed}.npz"

    @property
    def named(self) -> Named:
        """What the task must know of the data."""
        return Named(self.classes, self.config.ignore_index)

    def kept(self, arm: str, seed: int) -> Any:
        """What a finished run's network made of the test images, as its task reads it."""
        path = self.path(arm, seed)
        try:
            with np.load(path, allow_pickle=False) as file:
                return self.task.read(file, self.named)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise _damaged(path, "the results of a finished run", error) from error


def _data(path: Path) -> tuple[tuple[str, ...], int]:
    """The names of the classes, and how many training images there were."""
    expected = "the description of the data"
    found = _object(path, expected)
    try:
        return tuple(map(str, found["classes"])), int(found["train"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, expected, error) from error


def _object(path: Path, expected: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}")
    except (OSError, ValueError) as error:
        raise _damaged(path, expected, error) from error
    return found


def _epochs(path: Path, config: Config) -> dict[tuple[str, int], dict[int, Line]]:
    epochs: dict[tuple[str, int], dict[int, Line]] = {(arm, seed): {} for arm in config.arms for seed in config.seeds}
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():  # what follows the last newline is being written
            found = json.loads(line)
            run = epochs[found["arm"], found["seed"]]
            if found["epoch"] not in range(1, config.epochs + 1):
                raise ValueError(f"epoch {found['epoch']}")
            for measure in (*TASKS[config.task].table, *TASKS[config.task].curves):
                measure.of(found)
            run[found["epoch"]] = found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "a line for each finished epoch of these arms", error) from error
    for run in epochs.values():
        if sorted(run) != list(range(1, len(run) + 1)):
            raise _damaged(
                path, "every epoch from the first on", ValueError(f"epochs {', '.join(map(str, sorted(run)))}")
            )
    return epochs


def _damaged(path: Path, expected: str, error: Exception) -> LabError:
    came = f"no {error}" if isinstance(error, KeyError) else getattr(error, "strerror", None) or error
    return LabError(f"expected {expected} in {path}, got {came}: restore it, or train anew with another --out")


def _warnings(results: Results, arms: Sequence[_Arm]) -> Iterator[str]:
    """Why the numbers may not be worth much."""
    if any(1 in (len(arm.seeds), len(arm.pairs)) for arm in arms):
        yield "One seed proves nothing: another one may turn the order round. Compare over several seeds."
    if results.steps < STEPS_TO_JUDGE:
        yield (
            f"Too short to judge mixing, which pays late: a run is {results.steps:,} optimizer steps long, "
            f"fewer than {STEPS_TO_JUDGE:,}."
        )
    if unfinished := results.unfinished():
        yield f"Not finished, and left out of the table and of every interval: {'; '.join(unfinished)}."


@dataclass(frozen=True)
class _Arm:
    """What the report says of an arm."""

    results: Results
    index: int

    @property
    def name(self) -> str:
        return self.results.config.arms[self.index]

    @property
    def colour(self) -> int:
        """The number of its colour: 0 is that of the baseline."""
        others = [arm for arm in self.results.config.arms if arm != "none"]
        return 0 if self.name == "none" else 1 + others.index(self.name) % 6

    @cached_property
    def seeds(self) -> list[int]:
        return self.results.finished(self.name)

    @property
    def lines(self) -> list[dict[int, Line]]:
        """The epochs of each of its runs, finished or not."""
        return [self.results.epochs[self.name, seed] for seed in self.results.config.seeds]

    def value(self, measure: Measure) -> str:
        """A measure after the last epoch: the mean over seeds, and half its interval."""
        if not self.seeds:
            return "–"
        return _plus_minus(*metrics.interval(self.results.last(self.name, self.seeds, measure)), measure.digits)

    def difference(self, measure: Measure) -> str:
        """How far it is from none, pair by pair."""
        pair = self.paired(measure)
        return "" if pair is None else _plus_minus(*pair, measure.digits, sign="+")

    def paired(self, measure: Measure) -> tuple[float, float] | None:
        """The mean difference from none over the seeds that both have finished, and half its interval."""
        if not self.pairs:
            return None
        values, baseline = (self.results.last(arm, self.pairs, measure) for arm in (self.name, "none"))
        mean, half = metrics.paired(values, baseline)
        return mean, half or math.nan  # seeds that differ by the same from none show no spread, not a sure difference

    @cached_property
    def pairs(self) -> list[int]:
        """The seeds that it and none have finished."""
        if self.name == "none" or "none" not in self.results.config.arms:
            return []
        baseline = self.results.finished("none")
        return [seed for seed in self.seeds if seed in baseline]

    @cached_property
    def gain(self) -> tuple[float, float] | None:
        """How much better it is than none in the measure that is judged, and half its interval."""
        judged = self.results.task.judged
        pair = self.paired(judged)
        return None if pair is None else (judged.better * pair[0], pair[1])

    @property
    def reach(self) -> float:
        """How far the interval of the gain reaches from 0."""
        return 0.0 if self.gain is None or math.isnan(self.gain[1]) else abs(self.gain[0]) + self.gain[1]

    @property
    def verdict(self) -> str:
        """What was found, to follow the name of the arm."""
        if self.gain is None:
            return "cannot be compared with none yet: no seed is finished in both."
        mean, half = self.gain
        better, worse, same = self.results.task.verdicts
        found = f"{abs(mean):.2f} {better if mean > 0 else worse}" if f"{abs(mean):.2f}" != "0.00" else same
        if math.isnan(half) and len(self.pairs) > 1:
            return f"was {found} with each of {len(self.pairs)} seeds: too coarse a test for an interval."
        if math.isnan(half):
            return f"was {found} with seed {self.pairs[0]}, the only one that both have finished."
        between = f"{_signed(mean - half, 2)} to {_signed(mean + half, 2)}"
        excludes = "excludes 0" if abs(mean) > half else "includes 0: no difference is shown"
        return f"was {found}: 95 % interval {between} over {len(self.pairs)} seeds, which {excludes}."

    @property
    def sheet(self) -> dict[str, Any]:
        """The picture of what it was fed."""
        path = self.results.folder / "sheets" / f"{self.index}.png"
        try:
            return _embedded(path.read_bytes())
        except OSError as error:
            raise _damaged(path, "a PNG of what the arm was fed", error) from error

    @cached_property
    def detail(self) -> Detail:
        """What there is to say of its finished runs beside the measures."""
        if not self.seeds:
            return Detail()
        runs = [self.results.kept(self.name, seed) for seed in self.seeds]
        return self.results.task.detail(runs, self.results.named)

    @cached_property
    def picture(self) -> dict[str, Any] | None:
        """What its network makes of the first test images."""
        if self.detail.picture is None:
            return None
        content = io.BytesIO()
        self.detail.picture.save(content, "PNG", optimize=True)
        return _embedded(content.getvalue())


def _embedded(content: bytes) -> dict[str, Any]:
    """A PNG's size, and itself as a data URL."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        width, height = image.size
    return {"width": width, "height": height, "url": f"data:image/png;base64,{base64.b64encode(content).decode()}"}


def _plus_minus(mean: float, half: float, digits: int, sign: str = "") -> str:
    shown = _signed(mean, digits) if sign else f"{mean:.{digits}f}"
    return shown if math.isnan(half) else f"{shown} ± {half:.{digits}f}"


def _signed(number: float, digits: int) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")


class _Chart:
    """The learning curves of a measure, in the units of an SVG of `width` x `height`."""

    width, height = 340, 230
    left, right, top, bottom = 46, 330, 10, 200

    def __init__(self, measure: Measure, arms: Sequence[_Arm]) -> None:
        self.measure = measure
        self.curves = [_Curve.of(measure, arm) for arm in arms]
        self.epochs = _Axis(1, arms[0].results.config.epochs, self.left, self.right, whole=True)
        low = min((value for curve in self.curves for value in curve.low), default=0.0)
        high = max((value for curve in self.curves for value in curve.high), default=1.0)
        self.values = _Axis(low, high, self.bottom, self.top)

    def line(self, curve: _Curve) -> str:
        """The points of the mean."""
        return self._points(curve.epochs, curve.mean)

    def band(self, curve: _Curve) -> str:
        """The corners of the band from the lowest seed to the highest."""
        return f"{self._points(curve.epochs, curve.low)} {self._points(curve.epochs[::-1], curve.high[::-1])}"

    def _points(self, epochs: Sequence[int], values: Sequence[float]) -> str:
        return " ".join(f"{self.epochs.at(e):.1f},{self.values.at(v):.1f}" for e, v in zip(epochs, values, strict=True))

    @property
    def words(self) -> str:
        """The curves for those who cannot see them."""
        ends = [f"{c.arm.name} from {c.mean[0]:.4g} to {c.mean[-1]:.4g}" for c in self.curves if c.epochs]
        return f"{self.measure.name} {self.measure.unit} by epoch: {'; '.join(ends)}."


@dataclass(frozen=True)
class _Curve:
    """A measure by epoch: the mean over the seeds that reached it, the lowest and the highest."""

    arm: _Arm
    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    @classmethod
    def of(cls, measure: Measure, arm: _Arm) -> _Curve:
        last = max(map(len, arm.lines))
        seen = {e: [measure.of(run[e]) for run in arm.lines if e in run] for e in range(1, last + 1)}
        seen = {epoch: values for epoch, values in seen.items() if np.isfinite(values).all()}
        mean, low, high = ([float(reduce(values)) for values in seen.values()] for reduce in (np.mean, min, max))
        return cls(arm, list(seen), mean, low, high)


class _Axis:
    """Where numbers from low to high lie between two places, and which of them are marked."""

    def __init__(self, low: float, high: float, first: float, last: float, *, whole: bool = False) -> None:
        pad = 0.5 if low == high else 0.0
        self.low, self.high, self.first, self.last = low - pad, high + pad, first, last
        ticks = MaxNLocator(5, integer=whole, steps=[1, 2, 5, 10]).tick_values(low, high)
        self.ticks = [(f"{tick:g}", self.at(tick)) for tick in ticks if self.low <= tick <= self.high]

    def at(self, number: float) -> float:
        """The place of a number."""
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
