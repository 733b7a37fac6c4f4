"""How a call is timed: all contenders of a case in turn, in random order, beside a copy of the same bytes."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Call = Callable[[], Any]

COPY = "copy of the same bytes"  #: the name of the limit's row
FILL = "fill of the output alone"  #: the name of a second one's
CAST = "NumPy's cast of the batch"  #: the name of a third one's, of uint8 to float32
LIMITS = (COPY, FILL, CAST)
REST = 0.003  #: seconds of sleep before each turn, so that the threads of the one before it are asleep


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case. `make` builds the call that is timed; it may fail, and then the row says why.

    `per_sample` says whether each sample of a batch has a draw of its own, or the batch has one.
    """

    name: str
    make: Callable[[], Call]
    ours: bool = False
    per_sample: bool = True
    remark: str = ""


@dataclass(frozen=True)
class Pace:
    """How often: rounds, counted calls a turn, and calls before those; a turn has fewer where it would take longer.

    A contender whose calls take more than `slow` seconds has a turn in every fourth round.
    """

    rounds: int
    calls: int = 1
    head: int = 0
    seconds: float = 0.03
    slow: float = 0.25


@dataclass(frozen=True)
class Row:
    """One measurement, in milliseconds a call; `copy` is the median of the limit in the same process and case."""

    table: str
    case: str
    name: str
    process: str = ""
    ours: bool = False
    per_sample: bool = True
    remark: str = ""
    median: float | None = None
    p90: float | None = None
    copy: float | None = None
    calls: int = 0
    images: int = 0  # a call
    added: float | None = None  # percent, by mixing
    interval: tuple[float, float] | None = None  # of `added`, 95 %
    error: str = ""

    @property
    def times_copy(self) -> float | None:
        """How many copies of the same bytes a call takes the time of."""
        return None if self.median is None or not self.copy else self.median / self.copy


def measure(
    table: str, case: str, contenders: Sequence[Contender], pace: Pace, nbytes: int = 0, images: int = 0
) -> Iterator[Row]:
    """Time all contenders in turn, and first among them the copy that reads and writes as many bytes as they must."""
    if nbytes:
        contenders = [Contender(COPY, lambda: copier(nbytes)), *contenders]
    ready, broken = prepared(contenders)
    times, failed = round_robin(ready, pace)
    errors = {**broken, **failed}
    limit = float(np.median(times[COPY])) if times.get(COPY) else None
    for one in contenders:
        yield row(table, case, one, times.get(one.name, []), limit, images, errors.get(one.name, ""))


def row(
    table: str,
    case: str,
    one: Contender,
    times: Sequence[float],
    copy: float | None = None,
    images: int = 0,
    error: str = "",
) -> Row:
    """The row of a contender, from seconds a call."""
    made = Row(
        table, case, one.name, ours=one.ours, per_sample=one.per_sample, remark=one.remark, images=images, error=error
    )
    if error or not times:
        return made
    median, p90 = (1e3 * float(np.percentile(times, q)) for q in (50, 90))
    return replace(made, median=median, p90=p90, copy=None if copy is None else 1e3 * copy, calls=len(times))


def copier(nbytes: int) -> Call:
    """The limit: a copy that reads half of these bytes and writes the other half, into memory that is there already."""
    source, target = (np.ones(max(1, nbytes // 2), np.uint8) for _ in range(2))
    return lambda: np.copyto(target, source)


def prepared(contenders: Sequence[Contender]) -> tuple[dict[str, tuple[Call, float]], dict[str, str]]:
    """The calls, warmed up twice, with the seconds that the last of these took; and the reasons of those that fail."""
    ready: dict[str, tuple[Call, float]] = {}
    broken: dict[str, str] = {}
    for one in contenders:
        try:
            call = one.make()
            call()
            ready[one.name] = call, seconds(call)
        except Exception as error:  # noqa: BLE001, RUF100 - a peer that does not work is a row, not a crash
            broken[one.name] = reason(error)
    return ready, broken


def round_robin(ready: Mapping[str, tuple[Call, float]], pace: Pace) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of every call: each round gives each contender one turn, in random order, with the collector off."""
    rng, names = np.random.default_rng(0), list(ready)
    times: dict[str, list[float]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    gc.collect()
    gc.disable()
    try:
        for turn in range(pace.rounds):
            rng.shuffle(names)
            for name in names:
                call, about = ready[name]
                if name in failed or (turn % 4 and about > pace.slow):
                    continue
                try:
                    times[name] += a_turn(call, about, pace)
                except Exception as error:  # noqa: BLE001, RUF100 - as above
                    failed[name] = reason(error)
    finally:
        gc.enable()
    return times, failed


def a_turn(call: Call, about: float, pace: Pace) -> list[float]:
    """The seconds of each of a contender's calls in one round."""
    time.sleep(REST)
    for _ in range(pace.head):
        call()
    return [seconds(call) for _ in range(min(pace.calls, max(1, int(pace.seconds / about))))]


def seconds(call: Call) -> float:
    """How long a call takes; to let go of what it returns is part of it."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def reason(error: BaseException) -> str:
    """Why something failed, in one short line."""
    lines = str(error).strip().splitlines() or [""]
    text = f"{type(error).__name__}: {lines[0]}".removesuffix(": ").replace("|", "/")
    return text if len(text) <= 110 else text[:107] + "..."
