"""What mixing adds to a training step: the same steps with and without it, in turn, in blocks.

A block has a few steps that are not counted first: then a pipeline that works ahead makes one batch a step, and what
the one before it still did has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .. import timing
from ..timing import Contender, Pace, Row

Seconds = np.ndarray  #: float64 (blocks, steps)


def pace(short: bool) -> Pace:
    """Blocks, and steps in each."""
    return Pace(2, 2, head=1, seconds=9, slow=9) if short else Pace(16, 5, head=3, seconds=60, slow=60)


def measure(
    library: str, contenders: Sequence[Contender], unmixed: Mapping[str, str], pace: Pace, images: int
) -> Iterator[Row]:
    """The rows of a library; `unmixed` says which contender is another one without mixing."""
    ready, broken = timing.prepared(contenders)
    times, failed = timing.round_robin(ready, pace)
    errors = {**broken, **failed}
    for one in contenders:
        made = timing.row("training", library, one, times.get(one.name, []), None, images, errors.get(one.name, ""))
        base = unmixed.get(one.name, "")
        if made.median is not None and base in times and base not in errors:
            mixed, plain = (np.reshape(times[name], (pace.rounds, -1)) for name in (one.name, base))
            added, interval = more(mixed, plain)
            made = replace(made, added=added, interval=interval)
        yield made


def more(mixed: Seconds, plain: Seconds) -> tuple[float, tuple[float, float]]:
    """By how many percent the one is slower: the median over blocks, and its 95 % interval from a bootstrap of them."""
    added = 100 * (np.median(mixed, axis=1) / np.median(plain, axis=1) - 1)
    drawn = np.random.default_rng(0).choice(added, (2000, len(added)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(np.median(added)), (float(low), float(high))
