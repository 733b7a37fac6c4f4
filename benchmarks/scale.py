"""Measure augmented datasets of this machine and of Ray, for docs/scale.md.

PYTHONPATH=src python -m benchmarks.scale --rows 20000 --out benchmarks/scale.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

import mixaug as ma
from mixaug.epoch import Epoch, items

SIDE, CLASSES = 32, 10


class Images:
    """Random images of 32 x 32 pixels, the same in every process."""

    def __init__(self, rows: int) -> None:
        generator = np.random.default_rng(0)
        self.images = generator.integers(0, 256, (rows, SIDE, SIDE, 3), np.uint8)
        self.labels = generator.integers(0, CLASSES, rows)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> dict:
        return {"image": self.images[row], "label": int(self.labels[row])}


def cpu() -> float:
    """CPU seconds of this process and those that have ended below it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(run) -> dict[str, float]:
    """Wall and CPU seconds of a call."""
    begun, before = time.perf_counter(), cpu()
    run()
    return {"seconds": round(time.perf_counter() - begun, 2), "cpu_seconds": round(cpu() - before, 2)}


def in_process(data: Images, block: int) -> None:
    """Mix all rows in this process, so many at a time."""
    this = Epoch(len(data), 0, 0)
    for first in range(0, len(data), block):
        rows = np.arange(first, min(first + block, len(data)))
        items(
            ma.CutMix(), this, this.partners(rows, 2), lambda r: (data.images[r], data.labels[r]), num_classes=CLASSES
        )


def draws(rows: int) -> None:
    """Draw partners and mixes of all rows, without pixels."""
    this = Epoch(rows, 0, 0)
    for first in range(0, rows, 4096):
        some = np.arange(first, min(first + 4096, rows))
        index = this.partners(some, 2).astype(np.int32)
        ma.CutMix().draw(len(some), (SIDE, SIDE), key=this.key, index=index, rows=some)


def on_ray(rows: int, workers: int) -> dict[str, float]:
    """Wall and CPU seconds of `ma.ray.mixed`, those of the workers as Ray counts them, beside rows handed through."""
    import ray

    ids = ray.data.from_numpy(np.arange(rows)).rename_columns({"data": "id"}).repartition(4 * workers).materialize()

    def filled(block: dict) -> dict:
        data = Images(rows)
        return {"id": block["id"], "image": data.images[block["id"]], "label": data.labels[block["id"]]}

    ds = ids.map_batches(filled, batch_size=None).materialize()
    mixed = ma.ray.mixed(
        ma.CutMix(), ds, lambda: Images(rows), num_classes=CLASSES, map_batches={"concurrency": workers}
    )
    measured = {"mixed": timed(lambda: mixed.materialize())}
    same = ds.map_batches(lambda block: block, batch_size=None, concurrency=workers)
    measured["handed through"] = timed(lambda: same.materialize())
    return {name: one["seconds"] for name, one in measured.items()}


def augmented(rows: int, engine: str, workers: int, form: str, folder: Path) -> dict[str, float]:
    """`mixaug augment` of Fashion-MNIST's sample."""
    from mixaug.lab.cluster import Engine
    from mixaug.lab.offline import Job, augment

    job = Job("fashion-mnist-sample", "cutmix", format=form, copies=max(1, rows // 10_000))
    out = folder / f"{engine}-{workers}-{form}"
    measured = timed(lambda: augment(job, out, Engine(engine, workers)))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {**measured, "bytes_a_row": round(size / (10_000 * job.copies), 1)}


def main() -> None:
    """Measure all, print it, and write it."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--rows", type=int, default=20_000)
    given.add_argument("--out", type=Path)
    options = given.parse_args()
    data, rows = Images(options.rows), options.rows
    in_process(data, rows)  # compiles
    found: dict = {
        "rows": rows,
        "machine": {"cpus": os.cpu_count(), "platform": platform.platform(), "load": os.getloadavg()[0]},
        "versions": {name: version(name) for name in ("mixaug", "numpy", "ray", "pyarrow", "pillow")},
        "draw": timed(lambda: draws(rows)),
        "mix in blocks of 1024": timed(lambda: in_process(data, 1024)),
        "mix in blocks of 1": timed(lambda: in_process(Images(1000), 1)),
    }
    with tempfile.TemporaryDirectory() as folder:
        for form in ("folder", "npz", "parquet", "mixes"):
            found[f"augment {form}, local, 1"] = augmented(rows, "local", 1, form, Path(folder))
        for engine, workers in (("local", 2), ("ray", 1), ("ray", 2)):
            found[f"augment parquet, {engine}, {workers}"] = augmented(rows, engine, workers, "parquet", Path(folder))
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    for workers in (1, 2):
        found[f"ray.mixed, {workers}"] = on_ray(rows, workers)
    text = json.dumps(found, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    main()
