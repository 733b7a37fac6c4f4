"""How long it takes until the first batch is mixed, in fresh processes whose kernels lie in the cache on the disk."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from .. import child, timing
from ..timing import Contender, Row

IMPORT, FIRST = "import mixaug", "first mix after it"
CODE = """
import time
start = time.perf_counter()
import mixaug as ma
loaded = time.perf_counter()
import numpy as np
scale, offset = np.full(3, 0.01, np.float32), np.zeros(3, np.float32)
x, y = np.zeros((128, 32, 32, 3), np.uint8), np.arange(128) % 10
fields = {"images": ma.Images(dtype="float32", scale=scale, offset=offset)}
begun = time.perf_counter()
ma.mix_batch(ma.CutMix(alpha=1.0), (x, y), key=(0, 0, 0), num_classes=10, fields=fields)
print(loaded - start, time.perf_counter() - begun)
"""


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    contenders = [Contender(name, lambda: print, ours=True) for name in (IMPORT, FIRST)]
    try:
        fresh()  # fills the cache
        found = [fresh() for _ in range(1 if short else 9)]
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["failed"])[-1]
        yield from (timing.row("startup", "", one, [], error=last) for one in contenders)
        return
    for one, times in zip(contenders, zip(*found, strict=True), strict=True):
        yield timing.row("startup", "", one, times)


def fresh() -> tuple[float, float]:
    """Seconds of the import and of the first mix, in a new process."""
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)  # noqa: S603
    first, second = map(float, ran.stdout.split())
    return first, second


if __name__ == "__main__":
    child.main("startup", rows, ["mixaug"])
