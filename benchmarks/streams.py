"""Time pipelines: they run in turn, each for some seconds, without counting the first batches."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .timing import COPY, Contender, Row, copier, reason, row
from .workloads import Pipelines

HEAD = 10  #: batches that a run begins with and that are not counted: what was fetched ahead


def stream(name: str, make: Callable[[], Callable[[], Iterable[Any]]], **options: Any) -> Contender:
    """A contender whose call starts a pass over its dataset."""
    return Contender(name, make, **options)


def measure(data: Pipelines, contenders: Sequence[Contender]) -> Iterator[Row]:
    """Milliseconds per batch: the median over runs of their means, and the 90th percentile of single batches."""
    contenders = [stream(COPY, lambda: _copies(data)), *contenders]
    passes, errors = _made(contenders)
    runs: dict[str, list[list[float]]] = {name: [] for name in passes}
    rng, names = np.random.default_rng(0), list(passes)
    for _ in range(data.runs):
        rng.shuffle(names)
        for name in names:
            try:
                runs[name].append(gaps(passes[name](), data.seconds))
            except Exception as error:  # noqa: BLE001, RUF100 - a peer that does not work is a row, not a crash
                errors[name] = reason(error)
    means = {name: [float(np.mean(run)) for run in found] for name, found in runs.items()}
    limit = float(np.median(means[COPY]))
    for one in contenders:
        made = row("pipelines", "", one, means.get(one.name, []), limit, data.batch_size, errors.get(one.name, ""))
        if made.median is not None:
            every = [gap for run in runs[one.name] for gap in run]
            made = replace(made, p90=1e3 * float(np.percentile(every, 90)), calls=len(every))
        yield made


def gaps(batches: Iterable[Any], limit: float) -> list[float]:
    """The seconds that each batch of a pass took, after the first ones, until the pass or the time ends."""
    times: list[float] = []
    gc.collect()
    gc.disable()
    try:
        source = iter(batches)
        for _ in range(HEAD):
            next(source)
        start = last = time.perf_counter()
        for _ in source:
            now = time.perf_counter()
            times.append(now - last)
            last = now
            if now - start > limit:
                break
    finally:
        gc.enable()
    return times


def _made(contenders: Sequence[Contender]) -> tuple[dict[str, Callable[[], Iterable[Any]]], dict[str, str]]:
    """The pipelines that can be started, and the errors of the others."""
    passes, errors = {}, {}
    for one in contenders:
        try:
            passes[one.name] = one.make()
            next(iter(passes[one.name]()))
        except Exception as error:  # noqa: BLE001, RUF100 - as above
            passes.pop(one.name, None)
            errors[one.name] = reason(error)
    return passes, errors


def _copies(data: Pipelines) -> Callable[[], Iterable[Any]]:
    copy = copier(data.nbytes)
    return lambda: (copy() for _ in range(-(-data.rows // data.batch_size)))
