"""Time calls: all contenders of a case and a copy of the same bytes take turns in random order."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Call = Callable[[], Any]

COPY = "copy of the same bytes"  #: the name of the row of the limit
FILL = "fill of the output alone"  #: the name of the row of a second limit
CAST = "NumPy's cast of the batch"  #: the name of the row of a third limit, for uint8 to float32
LIMITS = (COPY, FILL, CAST)
REST = 0.003  #: seconds to sleep before each turn, until the threads of the previous contender sleep


@dataclass(frozen=True)
class Contender:
    """One way to do the work of a case. `make` builds the call to be timed; if it fails, the row contains the error.

    `per_sample` is True if each sample has its own draw, False if there is one draw per batch.
    """

    name: str
    make: Callable[[], Call]
    ours: bool = False
    per_sample: bool = True
    remark: str = ""


@dataclass(frozen=True)
class Pace:
    """The number of rounds, of timed calls per turn (fewer if they exceed `seconds`), and of calls before them.

    Contenders whose calls take more than `slow` seconds run in every fourth round only.
    """

    rounds: int
    calls: int = 1
    head: int = 0
    seconds: float = 0.03
    slow: float = 0.25


@dataclass(frozen=True)
class Row:
    """One measurement, in milliseconds per call; `copy` is the median of the limit in the same process and case."""

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
        """The time of a call relative to a copy of the same bytes."""
        return None if self.median is None or not self.copy else self.median / self.copy


def measure(
    table: str, case: str, contenders: Sequence[Contender], pace: Pace, nbytes: int = 0, images: int = 0
) -> Iterator[Row]:
    """Time all contenders in turn, including a copy that reads and writes the same number of bytes."""
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
    """The row of a contender, from seconds per call."""
    result = Row(
        table, case, one.name, ours=one.ours, per_sample=one.per_sample, remark=one.remark, images=images, error=error
    )
    if error or not times:
        return result
    median, p90 = (1e3 * float(np.percentile(times, q)) for q in (50, 90))
    return replace(result, median=median, p90=p90, copy=None if copy is None else 1e3 * copy, calls=len(times))


def copier(nbytes: int) -> Call:
    """The limit: a copy that reads half of these bytes and writes the other half, to allocated memory."""
    source, target = (np.ones(max(1, nbytes // 2), np.uint8) for _ in range(2))
    return lambda: np.copyto(target, source)


def prepared(contenders: Sequence[Contender]) -> tuple[dict[str, tuple[Call, float]], dict[str, str]]:
    """The calls after two warm-up calls, with the seconds of the second; and the errors of those that fail."""
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
    """Seconds of every call. In each round all contenders have a turn, in random order, without garbage collection."""
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
    """The seconds of each call of a contender in one round."""
    time.sleep(REST)
    for _ in range(pace.head):
        call()
    return [seconds(call) for _ in range(min(pace.calls, max(1, int(pace.seconds / about))))]


def seconds(call: Call) -> float:
    """The seconds that a call takes, including freeing what it returns."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def reason(error: BaseException) -> str:
    """An error as one short line."""
    lines = str(error).strip().splitlines() or [""]
    text = f"{type(error).__name__}: {lines[0]}".removesuffix(": ").replace("|", "/")
    return text if len(text) <= 110 else text[:107] + "..."
