"""Write an augmented dataset: its shards in any order, on this machine or on a Ray cluster, and its manifest."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import mixaug

from ... import files, table
from ...epoch import Epoch, items
from ..cluster import Engine, connected
from ..errors import LabError
from ..folder import locked, write_text, writing
from .formats import WRITERS, Mixed, Shard, arrow, class_folders, joined, mixes
from .job import Job, Opened, opened, shard_rows

_BESIDE = 2  # the number of shards in flight per worker


Told = Callable[[int, int], None]  # called with the rows done so far and in total


def augment(job: Job, out: Path, engine: Engine, *, resume: bool = False, told: Told | None = None) -> None:
    """Write an augmented dataset. Its files do not depend on the engine, the workers or interruptions.

    Args:
        job: the dataset to write.
        out: the folder, created if it is missing.
        engine: where to make the shards.
        resume: whether to continue in `out`; finished shards are kept.
        told: called with the rows done so far and in total.

    Raises:
        LabError: if `out` is not empty (without `resume`), contains another job, is in use or cannot be written, or a
            sample cannot be read.
    """
    if job.format == "parquet":
        arrow()
    described = _described(job, opened(job))
    if engine != Engine():
        opened.cache_clear()  # workers open the dataset themselves, so free it here
    with writing(out):
        _admit(described, out, resume)
        out.mkdir(parents=True, exist_ok=True)
    with locked(out, "writes"):
        files.remove_unfinished(out)
        if not (out / table.MANIFEST).exists():
            write_text(out / table.MANIFEST, json.dumps(described, indent=2) + "\n")
        if "shards" not in json.loads((out / table.MANIFEST).read_text("utf-8")):
            _make(job, out, engine, described, told or (lambda *_: None))


def _make(job: Job, out: Path, engine: Engine, described: dict[str, Any], told: Told) -> None:
    """Write the missing shards, then the manifest."""
    step, n = described["shard_rows"], described["rows"]
    shards = [Shard(copy, first, min(first + step, n)) for copy in range(job.copies) for first in range(0, n, step)]
    missing = [shard for shard in shards if not _part(out, shard).exists()]
    rows = [shard.last - shard.first for shard in missing]
    total = n * job.copies
    done = total - sum(rows)
    told(done, total)
    for shard in _engines()[engine.name](engine, job, out.absolute(), missing):
        done += shard.last - shard.first
        told(done, total)
    with writing(out):
        if job.format == "folder":
            joined(out, opened(job), shards)
        parts = [json.loads(_part(out, shard).read_text("utf-8")) for shard in shards]
        write_text(out / table.MANIFEST, json.dumps({**described, "shards": parts}, indent=2) + "\n")
        for part in sorted((out / "parts").iterdir()):
            part.unlink()
        (out / "parts").rmdir()


def _described(job: Job, data: Opened) -> dict[str, Any]:
    """Return the content of manifest.json, without the shards."""
    return {
        **job.to_dict(),
        "rows": data.rows,
        "size": list(data.size),
        "channels": data.channels,
        "class_names": list(data.classes),
        "class_folders": class_folders(data.classes) if job.format == "folder" and data.classes else None,
        "shard_rows": shard_rows(job, data),
        "key": "(seed, epoch, copy)",
        "draw_version": mixaug.draw_version,
        "versions": {name: _version(name) for name in ("mixaug", "numpy", "pillow", "pyarrow")},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def read_job(out: Path) -> Job:
    """Return the job of an unfinished or finished folder.

    Raises:
        LabError: if the folder has no job.
    """
    path = out / table.MANIFEST
    if not path.is_file():
        raise LabError(f"expected a folder that mixaug augment began, got {out}, which has no manifest.json: name one")
    try:
        found = json.loads(path.read_text("utf-8"))
        return Job.of({**found, "classes": found["classes"], "shard_rows": found["shard_rows"]})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} cannot be used ({error}): restore it, or start anew with another --out") from error


def _admit(described: dict[str, Any], out: Path, resume: bool) -> None:
    """Raise a LabError for a folder with other content."""
    if not resume:
        if out.exists() and any(not entry.name.startswith(".") for entry in out.iterdir()):
            go_on = f"go on with --resume {out}, or " if (out / table.MANIFEST).exists() else ""
            raise LabError(f"expected an empty folder, got {out}, which holds something: {go_on}choose another --out")
        return
    found = json.loads((out / table.MANIFEST).read_text("utf-8"))
    for name, value in described.items():
        if found.get(name) != value and (name != "versions" or "shards" not in found):
            raise LabError(
                f"expected {name} {found.get(name)!r}, with which {out} was begun, got {value!r}: restore it, or start "
                "anew with another --out"
            )


def _part(out: Path, shard: Shard) -> Path:
    """Return the file that marks a shard as finished."""
    return out / "parts" / f"{shard.name}.json"


def make(job: Job, out: Path, shard: Shard) -> str | None:
    """Write a shard, then mark it as finished; return the error as one sentence, or None."""
    try:
        with writing(out):
            data = opened(job)
            digest = _written(job, data, out, shard)
            part = {"name": shard.name, "copy": shard.copy, "rows": [shard.first, shard.last], "sha256": digest}
            write_text(_part(out, shard), json.dumps(part) + "\n")
    except (LabError, ValueError) as error:
        return str(error)
    return None


def _written(job: Job, data: Opened, out: Path, shard: Shard) -> str:
    recipe, rows = job.mixed_by, np.arange(shard.first, shard.last)
    this = Epoch(data.rows, job.seed, job.epoch, copy=shard.copy)
    index = this.partners(rows, recipe.sources)
    if job.format == "mixes":
        mix = recipe.draw(len(rows), data.size, key=this.key, index=index.astype(np.int32), rows=rows)
        return mixes(out, data, shard, mix)
    columns = items(recipe, this, index, data.batch, **data.options())
    mix = columns.pop("mix")
    return WRITERS[job.format](out, job, data, Mixed(shard, columns, mix))


def _engines() -> dict[str, Callable[[Engine, Job, Path, Sequence[Shard]], Iterator[Shard]]]:
    return {"local": _locally, "ray": _on_ray}


def _locally(engine: Engine, job: Job, out: Path, shards: Sequence[Shard]) -> Iterator[Shard]:
    """Yield shards as processes on this machine finish them; a single worker is this process."""
    if engine.workers == 1:
        for shard in shards:
            _raise(make(job, out, shard))
            yield shard
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(engine.workers, mp_context=context) as pool:
        left = iter(shards)
        running: dict[Future[str | None], Shard] = {}
        while True:
            for shard in islice(left, _BESIDE * engine.workers - len(running)):
                running[pool.submit(make, job, out, shard)] = shard
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                shard = running.pop(future)
                _raise(future.result())
                yield shard


def _on_ray(engine: Engine, job: Job, out: Path, shards: Sequence[Shard]) -> Iterator[Shard]:
    """Yield shards as tasks of a cluster finish them; Ray restarts a task if its worker or node dies."""
    with connected(engine) as ray:
        task = ray.remote(num_cpus=1, max_retries=-1)(make)
        left = iter(shards)
        running: dict[Any, Shard] = {}
        while True:
            for shard in islice(left, engine.workers - len(running)):
                running[task.remote(job, out, shard)] = shard
            if not running:
                return
            done, _ = ray.wait([*running])
            for ref in done:
                shard = running.pop(ref)
                _raise(ray.get(ref))
                yield shard


def _raise(sentence: str | None) -> None:
    if sentence is not None:
        raise LabError(sentence)
