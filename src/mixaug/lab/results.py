"""The results in a run folder, checked by the hashes of its log, and the findings for each arm."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from . import beyond, metrics
from .config import Config
from .errors import LabError
from .log import Line, Log, arrays_of, of_arrays
from .measures import Measure
from .tasks import TASKS, Detail, Named, Task

STEPS_TO_JUDGE = 20_000  #: optimizer steps below which a run is too short to judge mixing


@dataclass(frozen=True)
class Results:
    """The results in a run folder.

    Args:
        folder: the run folder.
        config: the configuration of the comparison.
        versions: the versions of the software.
        data: the content of data.json.
        steps: the number of optimizer steps of a complete run.
        epochs: the line of each finished epoch, by arm and seed, then by epoch.
    """

    folder: Path
    config: Config
    versions: dict[str, Any]
    data: dict[str, Any]
    steps: int
    epochs: dict[tuple[str, int], dict[int, Line]]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Return the results of a run folder.

        Raises:
            LabError: if it is not a run folder, is damaged, or has no finished epoch.
        """
        config = Config.read(folder)
        epochs = _epochs(folder / "epochs.jsonl", config)
        if not any(epochs.values()):
            raise LabError(f"expected a finished epoch in {folder}, got none yet: let it train, with --resume {folder}")
        versions = _object(folder / "versions.json", "the versions of a run")
        data = _data(folder / "data.json")
        steps = config.epochs * -(-data["train"] // config.batch_size)
        return cls(folder, config, versions, data, steps, epochs)

    @property
    def task(self) -> Task:
        """The task."""
        return TASKS[self.config.task]

    @property
    def beyond(self) -> tuple[Measure, ...]:
        """The additional measures."""
        return beyond.measures(self.config.measures)

    @property
    def meanings(self) -> list[str]:
        """One sentence on the meaning of each additional measure."""
        return [beyond.BEYOND[name].meaning for name in self.config.measures]

    @property
    def table(self) -> tuple[Measure, ...]:
        """All measures of the last epoch."""
        return (*self.task.table, *self.beyond)

    def finished(self, arm: str) -> list[int]:
        """Return the seeds with a finished run of an arm."""
        return [seed for seed in self.config.seeds if self._ended(arm, seed)]

    def _ended(self, arm: str, seed: int) -> bool:
        return self.config.epochs in self.epochs[arm, seed] and self.path(arm, seed).is_file()

    def unfinished(self) -> list[str]:
        """Return the unfinished runs, as text."""
        runs = [(arm, seed) for arm in self.config.arms for seed in self.config.seeds if not self._ended(arm, seed)]
        return [
            f"{arm}, seed {seed} ({len(self.epochs[arm, seed])} of {self.config.epochs} epochs)" for arm, seed in runs
        ]

    def last(self, arm: str, seeds: Sequence[int], measure: Measure) -> list[float]:
        """Return a measure after the last epoch, for each of the seeds."""
        return [measure.of(self.epochs[arm, seed][self.config.epochs]) for seed in seeds]

    def path(self, arm: str, seed: int) -> Path:
        """Return the file with the outputs of a run for the test images."""
        return self.folder / "runs" / f"{self.config.arms.index(arm)}-s{seed}.npz"

    @property
    def named(self) -> Named:
        """The properties of the data that the task needs."""
        return Named(self.data["classes"], self.config.ignore_index)

    def kept(self, arm: str, seed: int) -> Any:
        """Return the outputs of a finished run for the test images, as read by its task."""
        path, expected = self.path(arm, seed), "the results of a finished run"
        arrays = arrays_of(path)
        if arrays is None:
            raise damaged(path, expected, ValueError("a file that cannot be read"))
        if of_arrays(arrays) != self.epochs[arm, seed][self.config.epochs].get("result"):
            raise damaged(path, f"{expected} as they were written", ValueError("others"))
        try:
            return self.task.read(arrays, self.named)
        except (ValueError, KeyError) as error:
            raise damaged(path, expected, error) from error

    def arms(self) -> list[Arm]:
        """Return all arms, in the order of the configuration."""
        return [Arm(self, index) for index in range(len(self.config.arms))]

    def warnings(self) -> list[str]:
        """Return reasons why the numbers may not be reliable."""
        return list(_warnings(self, self.arms()))


def _data(path: Path) -> dict[str, Any]:
    """Return the content of data.json, checked for class names and the number of training images."""
    expected = "the description of the data"
    found = _object(path, expected)
    try:
        left_out = tuple(map(str, found.get("left_out", ())))
        return {
            **found,
            "classes": tuple(map(str, found["classes"])),
            "train": int(found["train"]),
            "left_out": left_out,
        }
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, expected, error) from error


def _object(path: Path, expected: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}")
    except (OSError, ValueError) as error:
        raise damaged(path, expected, error) from error
    return found


def _epochs(path: Path, config: Config) -> dict[tuple[str, int], dict[int, Line]]:
    epochs: dict[tuple[str, int], dict[int, Line]] = {(arm, seed): {} for arm in config.arms for seed in config.seeds}
    lines = Log(path).lines().values()
    try:
        for found in lines:
            run = epochs[found["arm"], found["seed"]]
            if found["epoch"] not in range(1, config.epochs + 1):
                raise ValueError(f"epoch {found['epoch']}")
            last = beyond.measures(config.measures) if found["epoch"] == config.epochs else ()
            for measure in (*TASKS[config.task].table, *TASKS[config.task].curves, *last):
                if not math.isfinite(measure.of(found)):
                    raise ValueError(f"{measure.field} {found[measure.field]}")
            run[found["epoch"]] = found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, "a line for each finished epoch of these arms", error) from error
    for run in epochs.values():
        if sorted(run) != list(range(1, len(run) + 1)):
            raise damaged(
                path, "every epoch from the first on", ValueError(f"epochs {', '.join(map(str, sorted(run)))}")
            )
    return epochs


def damaged(path: Path, expected: str, error: Exception) -> LabError:
    """Return the error for a damaged file of a run folder."""
    came = f"no {error}" if isinstance(error, KeyError) else getattr(error, "strerror", None) or error
    return LabError(f"expected {expected} in {path}, got {came}: restore it, or train anew with another --out")


def _warnings(results: Results, arms: Sequence[Arm]) -> Iterator[str]:
    """Yield reasons why the numbers may not be reliable."""
    if any(1 in (len(arm.seeds), len(arm.pairs)) for arm in arms):
        yield "One seed proves nothing: another one may turn the order round. Compare over several seeds."
    if results.steps < STEPS_TO_JUDGE:
        yield (
            f"Too short to judge mixing, which pays late: a run is {results.steps:,} optimizer steps long, "
            f"fewer than {STEPS_TO_JUDGE:,}."
        )
    if unfinished := results.unfinished():
        yield f"Not finished, and left out of the table and of every interval: {'; '.join(unfinished)}."
    if left_out := results.data["left_out"]:
        named = f"{', '.join(left_out[:10])}{' and others, which data.json lists' if len(left_out) > 10 else ''}"
        yield f"Files that could not be read were left out, {len(left_out)} in all: {named}."


@dataclass(frozen=True)
class Arm:
    """The findings for an arm."""

    results: Results
    index: int

    @property
    def name(self) -> str:
        """The text of the arm."""
        return self.results.config.arms[self.index]

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds with a finished run."""
        return self.results.finished(self.name)

    @property
    def lines(self) -> list[dict[int, Line]]:
        """The lines of the epochs of each run, finished or not."""
        return [self.results.epochs[self.name, seed] for seed in self.results.config.seeds]

    def value(self, measure: Measure) -> str:
        """Return a measure after the last epoch as text: mean and half interval over seeds; times: median and range."""
        if not self.seeds:
            return "–"
        if measure.timed:
            return "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*self.spread(measure), d=measure.digits)
        return _plus_minus(*metrics.interval(self.results.last(self.name, self.seeds, measure)), measure.digits)

    def difference(self, measure: Measure) -> str:
        """Return the paired difference from "none" as text; for times, the difference of the medians."""
        if measure.timed:
            if not self.pairs:
                return ""
            baseline = Arm(self.results, self.results.config.arms.index("none"))
            return _signed(self.spread(measure)[0] - baseline.spread(measure)[0], measure.digits)
        pair = self.paired(measure)
        return "" if pair is None else _plus_minus(*pair, measure.digits, sign="+")

    def spread(self, measure: Measure) -> tuple[float, float, float]:
        """Return the median, minimum and maximum over all epochs of finished seeds."""
        values = [measure.of(line) for seed in self.seeds for line in self.results.epochs[self.name, seed].values()]
        return float(np.median(values)), min(values), max(values)

    def paired(self, measure: Measure) -> tuple[float, float] | None:
        """Return the mean difference from "none" over the seeds that both have finished, and half its interval."""
        if not self.pairs:
            return None
        values, baseline = (self.results.last(arm, self.pairs, measure) for arm in (self.name, "none"))
        mean, half = metrics.paired(values, baseline)
        return mean, half or math.nan  # identical differences of all seeds do not prove an exact difference

    @cached_property
    def pairs(self) -> list[int]:
        """The seeds that both this arm and "none" have finished."""
        if self.name == "none" or "none" not in self.results.config.arms:
            return []
        baseline = self.results.finished("none")
        return [seed for seed in self.seeds if seed in baseline]

    @cached_property
    def gain(self) -> tuple[float, float] | None:
        """Return the gain over "none" in the judged measure, and half its interval."""
        judged = self.results.task.judged
        pair = self.paired(judged)
        return None if pair is None else (judged.better * pair[0], pair[1])

    @property
    def reach(self) -> float:
        """Return the largest distance from 0 in the interval of the gain."""
        return 0.0 if self.gain is None or math.isnan(self.gain[1]) else abs(self.gain[0]) + self.gain[1]

    @property
    def verdict(self) -> str:
        """Return the finding, as text to follow the name of the arm."""
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

    @cached_property
    def detail(self) -> Detail:
        """Return further details of its finished runs."""
        if not self.seeds:
            return Detail()
        runs = [self.results.kept(self.name, seed) for seed in self.seeds]
        return self.results.task.detail(runs, self.results.named)


def _plus_minus(mean: float, half: float, digits: int, sign: str = "") -> str:
    shown = _signed(mean, digits) if sign else f"{mean:.{digits}f}"
    return shown if math.isnan(half) else f"{shown} ± {half:.{digits}f}"


def _signed(number: float, digits: int) -> str:
    return f"{number:+.{digits}f}".replace("-", "−")
