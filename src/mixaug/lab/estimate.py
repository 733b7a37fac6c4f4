"""Estimate the time and memory of a comparison from ten measured steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from .beyond import passes

if TYPE_CHECKING:
    from .batches import Batches
    from .phases import Phase
    from .train import Run

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

STEPS = 10


class Pace(NamedTuple):
    """Seconds per step, additional seconds of the first step, and seconds of the evaluation after an epoch."""

    step: float
    first: float
    evaluation: float


@dataclass(frozen=True)
class Estimate:
    """The remaining time of a comparison, and its memory.

    Args:
        paces: the pace of each phase with epochs left.
        seconds: the total time.
        peak: the peak memory of this process, in bytes; None if unknown on this system.
        threads: the number of threads of the operations.

    >>> print(Estimate([Pace(0.12, 3.0, 2.0)], 4500.0, 3 * 2**30, 2))
    about 1:15:00 and 3.0 GiB of memory at the peak, by 10 measured steps (120 ms each, 2.0 s to evaluate; 2 threads)
    """

    paces: Sequence[Pace]
    seconds: float
    peak: int | None
    threads: int

    def __str__(self) -> str:
        time = f"about {timedelta(seconds=round(self.seconds))}"
        memory = "" if self.peak is None else f" and {self.peak / 2**30:.1f} GiB of memory at the peak"
        each = " and ".join(f"{1000 * pace.step:.0f} ms each" for pace in self.paces)
        evaluation = f"{max(pace.evaluation for pace in self.paces):.1f} s to evaluate"
        return f"{time}{memory}, by {STEPS} measured steps ({each}, {evaluation}; {self.threads} threads)"


class Left(NamedTuple):
    """The remaining epochs of a run in a phase, and the steps per epoch."""

    epochs: int
    steps: int


def total(left: Sequence[Left], paces: Sequence[Pace]) -> float:
    """Return the seconds that runs take, where each traces its network once per phase and evaluates every epoch.

    >>> total([Left(epochs=2, steps=10), Left(epochs=0, steps=10)], [Pace(0.5, 3.0, 4.0)] * 2)
    21.0
    """
    return sum(
        n.epochs * (n.steps * pace.step + pace.evaluation) + (pace.first if n.epochs else 0.0)
        for n, pace in zip(left, paces, strict=True)
    )


def beyond_accuracy(run: Run, pace: Pace) -> float:
    """Return the seconds of a run's `measures`: a forward pass costs as in evaluation, a backward pass as in a step."""
    forward, backward = passes(run.config.measures, len(run.data.test))
    return forward * pace.evaluation / len(run.data.test) + backward * pace.step / run.config.batch_size


def left_of(run: Run, finished: int) -> list[Left]:
    """Return what is left of a run in each of its phases after `finished` epochs."""
    ends = [phase.first + phase.config.epochs for phase in run.phases]
    return [
        Left(max(0, end - max(phase.first, finished)), run.steps) for phase, end in zip(run.phases, ends, strict=True)
    ]


def measured(model: keras.Model, runs: Sequence[Run], finished: Sequence[int]) -> Estimate:
    """Measure the network in each remaining phase; if there is only one, the network is restored afterwards.

    Args:
        model: the network of the first unfinished run, ready to continue.
        runs: all runs.
        finished: the number of finished epochs of each run.
    """
    left = [left_of(run, done) for run, done in zip(runs, finished, strict=True)]
    run = next(run for run, done in zip(runs, finished, strict=True) if done < run.config.epochs)
    paces = {}
    for index, phase in enumerate(run.phases):
        if any(of_run[index].epochs for of_run in left):
            paces[index] = _pace(model, run, phase, [other.batches for other in runs if other.seed == run.seed])
    of_phases = [(of_run[index], pace) for of_run in left for index, pace in paces.items()]
    seconds = total([n for n, _ in of_phases], [pace for _, pace in of_phases])
    seconds += sum(done < run.config.epochs for done in finished) * beyond_accuracy(run, [*paces.values()][-1])
    return Estimate(list(paces.values()), seconds, peak_memory(), run.config.threads)


def _pace(model: keras.Model, run: Run, phase: Phase, batches: Sequence[Batches]) -> Pace:
    if len(run.phases) > 1:
        run.compile(model, phase)
    model.optimizer.build(
        model.trainable_variables
    )  # otherwise its moments would be created and kept by the measurement
    variables = [*model.variables, *model.optimizer.variables]
    values = [keras.ops.copy(variable) for variable in variables]
    part = replace(run.data, test=run.data.test.take(range(min(len(run.data.test), 2 * run.task.tested))))
    evaluated = [_seconds(lambda: run.task.evaluate(replace(run, data=part).answers(model), part)) for _ in range(2)]
    times = _Times()
    model.fit(_Some(batches), epochs=1, shuffle=False, verbose=0, callbacks=[times])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    first, *rest = np.diff(times.ends).tolist()
    step = float(np.median(rest))
    return Pace(step, max(0.0, first - step), evaluated[-1] * len(run.data.test) / len(part.test))


def _seconds(call: Any) -> float:
    begun = perf_counter()
    call()
    return perf_counter() - begun


class _Times(keras.callbacks.Callback):  # type: ignore[misc]
    """Records when the epoch began, and when each of its steps ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.ends = [perf_counter()]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras' signature
        self.ends.append(perf_counter())


class _Some(keras.utils.PyDataset):  # type: ignore[misc]
    """The batches to measure: one for tracing and `STEPS` more, cycling through the arms; full batches if possible."""

    def __init__(self, batches: Sequence[Batches]) -> None:
        super().__init__(workers=0)
        self._batches = batches

    def __len__(self) -> int:
        return 1 + STEPS

    def __getitem__(self, index: int) -> Any:
        batches = self._batches[index % len(self._batches)]
        return batches[index % max(1, len(batches) - 1)]


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if the system does not report it."""
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
