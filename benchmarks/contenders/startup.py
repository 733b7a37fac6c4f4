"""How long the first mixed batch takes in fresh processes, with kernels in the cache on the disk and without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping

from .. import child, timing
from ..timing import Contender, Row

NUMPY, IMPORT, FIRST = "import numpy", "import mixaug, after NumPy", "first mix after it"
COLD, FURTHER = "empty cache: start to first mix, CPU time", "empty cache: the next recipe, MixUp, CPU time"
CODE = """
import time
start, cpu = time.perf_counter(), time.process_time
import numpy as np
loaded = time.perf_counter()
import mixaug as ma
ready = time.perf_counter()
x, y = np.zeros((128, 32, 32, 3), np.uint8), np.arange(128) % 10
begun = time.perf_counter()
ma.mix_batch(ma.CutMix(), (x, y), key=(0, 0, 0), num_classes=10)
first, total = time.perf_counter() - begun, cpu()
ma.mix_batch(ma.MixUp(), (x, y), key=(0, 0, 0), num_classes=10)
print(loaded - start, ready - loaded, first, total, cpu() - total)
"""


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    try:
        fresh({})  # fills the cache
        warm = [fresh({})[:3] for _ in range(1 if short else 9)]
        cold = [in_empty_cache() for _ in range(1 if short else 5)]
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["failed"])[-1]
        yield timing.row("startup", "", Contender(FIRST, lambda: print, ours=True), [], error=last)
        return
    for names, found in (((NUMPY, IMPORT, FIRST), warm), ((COLD, FURTHER), cold)):
        for name, times in zip(names, zip(*found, strict=True), strict=True):
            yield timing.row("startup", "", Contender(name, lambda: print, ours=name != NUMPY), times)


def in_empty_cache() -> tuple[float, ...]:
    """CPU seconds to the first mix, and of the next recipe, where nothing has been compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        return fresh({"NUMBA_CACHE_DIR": folder})[3:]


def fresh(settings: Mapping[str, str]) -> tuple[float, ...]:
    """The seconds that CODE prints, in a new process."""
    environment = {**os.environ, **settings}
    ran = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=True, env=environment
    )
    return tuple(map(float, ran.stdout.split()))


if __name__ == "__main__":
    child.main("startup", rows, ["mixaug", "numba", "llvmlite"])
