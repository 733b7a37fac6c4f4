"""Decode image files in parallel into arrays: in memory, or into memory-mapped files in the cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import PIL
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from .dataset import BLOCK, release
from .errors import LabError, UnreadableError
from .progress import Progress
from .reading import Cell
from .remote import cache_folder

try:
    import fcntl
except ImportError:  # Windows: two runs may decode the same images, and the later one discards its result
    fcntl = None  # type: ignore[assignment]

Pixels: TypeAlias = NDArray[np.uint8]
Allocate: TypeAlias = Callable[[str, tuple[int, ...]], Pixels]

_FORM = 1  #: the version of the cached format; part of the key
LISTED = 10  #: the maximum number of files that an error lists


class Job(NamedTuple):
    """Images to decode.

    Args:
        items: one item per sample, such as its file, or the files of a pair.
        read: a function that returns the cells of an item, one per column, or raises `UnreadableError`.
        columns: the content of each column, such as "image".
        shapes: the shape of a cell of each column, (size, size, 3) or (size, size).
        stamp: everything the result depends on, as JSON: names, sizes, dates.
    """

    items: Sequence[Any]
    read: Callable[[Any], tuple[Cell, ...]]
    columns: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    stamp: Callable[[], object]


class Decoded(NamedTuple):
    """Decoded images.

    Args:
        arrays: one array per column, uint8 (rows, size, size, 1 or 3), or (rows, size, size).
        rows: the item of each row; all items that could be read.
        damaged: the other items, each with the reason.
        notes: sentences on how 16-bit images were scaled.
        ids: for each column, the class ids found, each with an item that has it.
    """

    arrays: list[Pixels]
    rows: list[int]
    damaged: list[UnreadableError]
    notes: tuple[str, ...]
    ids: list[dict[int, int]]


def in_memory(job: Job) -> Decoded:
    """Decode a few images into memory, otherwise like `in_cache`.

    Raises:
        LabError: if an image cannot be read.
    """
    decoded = _fill(job, lambda _, shape: np.empty(shape, np.uint8), Progress())
    for damage in decoded.damaged:
        raise damage
    return decoded


def in_cache(job: Job, progress: Progress, *, skip_damaged: bool = False) -> Decoded:
    """Decode images into memory-mapped files in the cache folder, or reuse those of a previous run.

    The cache key consists of the names, sizes and dates of the files, the image size and the version of Pillow. A
    result gets its name only when it is complete; if two runs decode the same images, the second waits for the first.
    The arrays are read-only.

    Raises:
        LabError: if an image cannot be read (without `skip_damaged`), files change meanwhile, or the disk is full.
    """
    home = cache_folder() / "decoded"
    place = home / _key(job)
    way_out = "make room there, or let the environment variable MIXAUG_CACHE name another folder"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _alone(place, progress):
            if not place.is_dir():
                _decode(job, place, progress, skip_damaged)
        return _kept(place)
    except OSError as error:
        raise LabError(
            f"expected to keep decoded images in {home}, got {error.strerror or error}: {way_out}"
        ) from error


def refuse(damaged: Sequence[UnreadableError], total: int) -> None:
    """Raise a LabError that lists the damaged files, if there are any."""
    if not damaged:
        return
    way_out = "or leave {} out with --skip-damaged"
    if len(damaged) == 1:
        raise LabError(f"{damaged[0]}, {way_out.format('it')}")
    listed = "; ".join(f"{damage.path} ({damage.reason})" for damage in damaged[:LISTED])
    more = f"; and {len(damaged) - LISTED} more" if len(damaged) > LISTED else ""
    raise LabError(
        f"expected {total} images, got {len(damaged)} files that cannot be read ({listed}{more}): repair or remove "
        f"them, {way_out.format('them')}"
    )


def file_stamp(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Return the name, size and date of each file."""
    found = [(path, path.stat()) for path in files]
    return [(os.fsencode(path.absolute()).hex(), stat.st_size, stat.st_mtime_ns) for path, stat in found]


def _key(job: Job) -> str:
    of = [_FORM, PIL.__version__, job.columns, job.shapes, job.stamp()]
    return hashlib.sha256(json.dumps(of).encode()).hexdigest()[:32]


@contextmanager
def _alone(place: Path, progress: Progress) -> Iterator[None]:
    """Lock out other processes that would decode the same images; the lock ends with the process."""
    if fcntl is None:
        yield
        return
    lock = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note("another process decodes the same images: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for unfinished in place.parent.glob(f"{place.name}-*"):  # left by a killed process
            shutil.rmtree(unfinished)
        yield
    finally:
        os.close(lock)


def _decode(job: Job, place: Path, progress: Progress, skip_damaged: bool) -> None:
    """Write the folder `place`: one array per column, and info.json."""
    unfinished = place.with_name(f"{place.name}-{token_hex(8)}")
    unfinished.mkdir()
    try:
        decoded = _fill(job, lambda name, shape: _mapped(unfinished / f"{name}.npy", shape), progress)
        if not skip_damaged:
            refuse(decoded.damaged, len(job.items))
        if _key(job) != place.name:
            raise LabError(
                "expected files that stay as they are, got some that changed while they were read: try again"
            )
        info = {
            "rows": decoded.rows,
            "damaged": [(str(damage.path), damage.reason) for damage in decoded.damaged],
            "notes": decoded.notes,
            "ids": [list(ids.items()) for ids in decoded.ids],
            "arrays": [list(array.shape) for array in decoded.arrays],
        }
        for array in decoded.arrays:
            array.flush()  # type: ignore[attr-defined]
        with (unfinished / "info.json").open("x", encoding="utf-8") as file:
            json.dump(info, file)
            file.flush()
            os.fsync(file.fileno())
        del decoded, array  # Windows cannot rename a folder with mapped files
        if not place.is_dir():
            unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    size = sum(file.stat().st_size for file in place.iterdir())
    progress.note(f"{len(job.items):,} samples are decoded and kept in {place} ({size / 2**20:,.0f} MiB)")


def _kept(place: Path) -> Decoded:
    """Return the content of a folder in the cache."""
    try:
        info = json.loads((place / "info.json").read_text(encoding="utf-8"))
        arrays = [open_memmap(_array(place, i, shape), mode="r") for i, shape in enumerate(info["arrays"])]
        if [list(array.shape) for array in arrays] != info["arrays"] or any(x.dtype != np.uint8 for x in arrays):
            raise ValueError("arrays of other shapes")
        rows = list(map(int, info["rows"]))
        damaged = [UnreadableError(path, reason) for path, reason in info["damaged"]]
        ids = [{int(i): int(item) for i, item in column} for column in info["ids"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabError(
            f"expected the decoded images that a former run kept in {place}, got {error}: delete that folder"
        ) from error
    return Decoded([array[: len(rows)] for array in arrays], rows, damaged, tuple(info["notes"]), ids)


def _array(place: Path, column: int, shape: Sequence[int]) -> Path:
    return place / (f"{column}-grey.npy" if shape[-1] == 1 and len(shape) == 4 else f"{column}.npy")


def _mapped(path: Path, shape: tuple[int, ...]) -> Pixels:
    """Return a memory-mapped array with reserved disk space: a full disk is an error here, not a crash later."""
    array: Pixels = open_memmap(path, "w+", np.uint8, shape)
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.seek(size - array.nbytes)
            for start in range(0, array.nbytes, 2**20):
                file.write(bytes(min(2**20, array.nbytes - start)))
    return array


def _fill(job: Job, allocate: Allocate, progress: Progress) -> Decoded:
    """Decode all items into arrays, several at a time."""
    columns = [
        _Column(name, allocate(str(i), (len(job.items), *shape)))
        for i, (name, shape) in enumerate(zip(job.columns, job.shapes, strict=True))
    ]
    rows: list[int] = []
    damaged: list[UnreadableError] = []
    for item, cells in enumerate(_in_order(job.read, job.items)):
        if isinstance(cells, UnreadableError):
            damaged.append(cells)
        else:
            for column, cell in zip(columns, cells, strict=True):
                column.put(len(rows), item, cell)
            rows.append(item)
        progress.read(item + 1, len(job.items))
    for i, column in enumerate(columns):
        column.scale([rows[row] for row in column.ranges], job, i)
        column.narrow(lambda shape, i=i: allocate(f"{i}-grey", shape))  # type: ignore[misc]
    notes = tuple(note for column in columns for note in column.notes())
    return Decoded([column.array for column in columns], rows, damaged, notes, [column.ids for column in columns])


def _in_order(read: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """Yield the result of `read` for each item, or the `UnreadableError` it raises; few are in memory at a time."""

    def attempt(item: Any) -> Any:
        try:
            return read(item)
        except UnreadableError as damage:
            return damage

    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(workers) as pool:  # Pillow releases the GIL when it decodes and resizes
        for item in items:
            waiting.append(pool.submit(attempt, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@dataclass
class _Column:
    """An array filled row by row: grey if all images are; 16-bit grey images are scaled by their common range."""

    name: str
    array: Pixels
    ranges: dict[int, tuple[int, ...]] = field(default_factory=dict)  #: lowest and highest value, by row
    ids: dict[int, int] = field(default_factory=dict)
    deep: int = 0
    coloured: bool = False

    def put(self, row: int, item: int, cell: Cell) -> None:
        """Write a row; rows of 16-bit grey images are written later by `scale`."""
        if cell.range:
            self.ranges[row] = cell.range
        else:
            self.array[row] = cell.pixels
        self.ids.update(dict.fromkeys(cell.ids, item))
        self.deep += cell.bits == 16
        self.coloured |= not cell.grey
        if row % BLOCK == 0:
            release(self.array)

    def scale(self, items: Sequence[int], job: Job, column: int) -> None:
        """Read 16-bit grey images again, and scale them by their common range.

        pixel = (pixel - lowest) * 255 / (highest - lowest)
        """
        if not items:
            return
        lowest, highest = self._range
        scale = 255 / max(1, highest - lowest)
        for row, cells in zip(self.ranges, _in_order(job.read, [job.items[i] for i in items]), strict=True):
            if isinstance(cells, UnreadableError):
                raise cells
            grey = np.rint((cells[column].pixels - lowest) * scale).clip(0, 255)
            self.array[row] = grey.astype(np.uint8)[..., None]

    def narrow(self, allocate: Callable[[tuple[int, ...]], Pixels]) -> None:
        """Reduce the array to one channel if all images are grey."""
        if self.coloured or self.array.ndim < 4:
            return
        wide, self.array = self.array, allocate((*self.array.shape[:-1], 1))
        for start in range(0, len(wide), BLOCK):
            self.array[start : start + BLOCK] = wide[start : start + BLOCK, ..., :1]
            release(wide)
            release(self.array)
        file = getattr(wide, "filename", None)
        del wide
        if file is not None:
            Path(file).unlink()

    def notes(self) -> Iterator[str]:
        """Yield sentences on how 16-bit images were scaled, if there are any."""
        grey = len(self.ranges)
        if grey:
            lowest, highest = self._range
            yield f"{self._files(grey)} 16 bits: their range, {lowest} to {highest}, is scaled to 0 to 255"
        if self.deep > grey:
            yield f"{self._files(self.deep - grey)} 16 bits a channel, of which the upper 8 are read"

    @property
    def _range(self) -> tuple[int, int]:
        return min(low for low, _ in self.ranges.values()), max(high for _, high in self.ranges.values())

    def _files(self, count: int) -> str:
        return f"{count} {self.name} file has" if count == 1 else f"{count} {self.name} files have"
