"""The table of mixes of a dataset, about 20 bytes per row, and the samples made from it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from . import backends, files
from .batch import Batch, collated
from .core.choice import Drawn
from .core.keys import draw_version
from .core.regions import BY_SOURCE, Paste
from .epoch import Epoch, RowOptions, single
from .fields import Fields, Images, resolve, tree
from .mix import Mix, archive
from .ops.rows import merge
from .recipes import Recipe
from .recipes.recipe import Draw
from .sources import Openable, Samples, opened

MANIFEST = "manifest.json"


def replay(
    table: str | os.PathLike[str],
    source: Openable,
    *,
    num_classes: int | None = None,
    fields: Fields | None = None,
    check: bool = True,
) -> Replay:
    """Return the samples of a table of mixes, made on access.

        self[c * n + i] = sample i of the source, mixed as in copy c

    Args:
        table: a folder written by `mixaug augment --mixes-only`.
        source: the samples that the table was made from: a folder with one sub-folder per class, or a function without
            arguments that returns a sequence of pairs or dicts.
        num_classes: the number of classes, required for class ids.
        fields: as in `ma.mix_batch`.
        check: whether to check that each image has the hash recorded in the table.

    Returns:
        A sequence of samples in the form of the source, with random access: a dataset for PyTorch, Grain and
        `keras.utils.PyDataset`. Nothing is drawn, so the samples stay the same if recipes change.

    Raises:
        TypeError: if `source` is of a wrong type.
        ValueError: if `table` is not such a folder, or the source has a different number of rows; on access, if an
            image has changed.

    Example:
        >>> import mixaug as ma  # doctest: +SKIP
        >>> mixed = ma.replay("mixes", "photos/train", num_classes=10)  # doctest: +SKIP
        >>> image, label = mixed[0]["image"], mixed[0]["label"]  # doctest: +SKIP
    """
    return Replay(Path(table), opened(source), {"num_classes": num_classes, "fields": fields}, check)


class Replay:
    """The sequence that `replay` returns."""

    def __init__(self, folder: Path, samples: Samples, options: RowOptions, check: bool) -> None:
        self.manifest = _manifest(folder)
        self._folder, self._samples, self._options, self._check = folder, samples, options, check
        self._n, rows = len(samples), self.manifest["rows"]
        if self._n != rows:
            raise ValueError(
                f"source: expected the {rows} rows that {folder} was made of, got {self._n}; pass that one"
            )
        self._shard = lru_cache(maxsize=64)(self._read)

    def __len__(self) -> int:
        return int(self.manifest["copies"]) * self._n

    def __getitem__(self, row: int) -> Batch:
        if not 0 <= row < len(self):
            raise IndexError(f"expected a row in 0..{len(self) - 1}, got {row}")
        copy, number = divmod(row, self._n)
        first, mix = self._mix(copy, number)
        index = mix.index[:, [number - first]].astype(np.int64)
        recorded = Recorded(of_outputs(mix, np.array([number - first])))
        return single(recorded, Epoch(1, 0, 0), index, self._batch, self._options)

    def _mix(self, copy: int, number: int) -> tuple[int, Mix]:
        step = self.manifest["shard_rows"]
        first = number // step * step
        return first, self._shard(copy, first)[0]

    def _batch(self, rows: list[int]) -> Batch:
        samples = [self._samples[row] for row in rows]
        batch = collated(samples, self._options.get("fields"), stacked)
        if self._check:
            for row, image in zip(rows, images_of(batch, self._options.get("fields")), strict=True):
                step = self.manifest["shard_rows"]
                first = row // step * step
                if digest(image) != self._shard(0, first)[1][row - first]:
                    raise ValueError(
                        f"source: expected the image of row {row} that {self._folder} was made of, got another one; "
                        "restore it, or make the table anew with mixaug augment --mixes-only"
                    )
        return batch

    def _read(self, copy: int, first: int) -> tuple[Mix, NDArray[np.int64]]:
        last = min(first + self.manifest["shard_rows"], self._n)
        size = tuple(self.manifest["size"])
        return read(self._folder / name_of(copy, first), np.arange(first, last), size, self._n)


@dataclass(frozen=True, eq=False)
class Recorded(Recipe):
    """A recipe that always draws the same recorded mix."""

    mix: Mix

    @property
    def sources(self) -> int:
        """Return the number of sources of the mix."""
        return int(self.mix.index.shape[0])

    def region(self, draw: Draw) -> Drawn:
        """Return the region of the mix."""
        if tuple(draw.size) != self.mix.size:
            raise ValueError(
                f"source: expected images of size {self.mix.size}, for which the table was made, got {draw.size}; "
                "resize them as they were then"
            )
        return self.mix.region


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if found["format"] != "mixes" or not found["shards"]:
            raise ValueError("it has no mixes")
        if found["draw_version"] > draw_version:
            raise ValueError("its draw_version is newer; install a newer mixaug")
        numbers = [found[name] for name in ("rows", "copies", "shard_rows")]
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            raise ValueError("its numbers are not whole")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"table: expected a folder that mixaug augment --mixes-only has finished, got {folder} ({error}); name one"
        ) from None
    return found  # type: ignore[no-any-return]


def name_of(copy: int, first: int) -> str:
    """Return the name of the file with the rows of a copy that start at `first`."""
    return f"mixes-{copy}-{first:09d}.npz"


def write(path: Path, mix: Mix, hashes: NDArray[np.int64]) -> None:
    """Write the mixes of a range of rows, atomically.

    Values shared by all rows are written once, and integers in as few bytes as possible; `lam` and the base samples are
    not stored, as they follow from the rest.

    Raises:
        ValueError: if the mix has pixel weights, which take thousands of bytes per row.
    """
    if not isinstance(mix.region, Paste):
        raise ValueError(
            "mixes: expected a recipe of boxes and blends, got one of masks, which take "
            f"{4 * mix.index.shape[0] * int(np.prod(mix.size))} bytes a row; write the images instead"
        )
    arrays = {name: _packed(name, x) for name, x in {"partner": mix.index[1:], **mix.region.arrays()}.items()}

    def fill(unfinished: Path) -> None:
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, hash=hashes, **arrays)

    files.write(path, fill)


def read(path: Path, rows: NDArray[np.int64], size: tuple[int, ...], n: int) -> tuple[Mix, NDArray[np.int64]]:
    """Return the mix of the given rows, out of n, and the hashes of their images.

    Raises:
        ValueError: if `path` is not such a file.
    """
    try:
        arrays = archive.read(path)
        hashes, partner = arrays.pop("hash"), _unpacked("partner", arrays.pop("partner"), len(rows))
        index = np.concatenate([rows[None].astype(np.int32), partner])
        if hashes.shape != rows.shape or hashes.dtype != np.int64 or index.min() < 0 or index.max() >= n:
            raise ValueError("its rows are not those of the source")
        region_arrays = {name: _unpacked(name, x, len(rows)) for name, x in arrays.items()}
        region, xp = Paste.of(region_arrays, len(index)), backends.common()
        lam = region.lam(xp, len(rows), size)
        mix = Mix(index, merge(xp, index, lam), region, size)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: expected a file that mixaug augment --mixes-only wrote ({error})") from None
    return mix, hashes


def _axis(name: str) -> int:
    return 1 if name in (*BY_SOURCE, "partner") else 0


def _packed(name: str, x: NDArray[Any]) -> NDArray[Any]:
    axis = _axis(name)
    first = np.take(x, [0], axis=axis)
    x = first if (x == first).all() else x
    small = x.dtype.kind == "i" and x.size and x.min() >= -(2**15) and x.max() < 2**15
    return x.astype(np.int16) if small else x


def _unpacked(name: str, x: NDArray[Any], count: int) -> NDArray[Any]:
    axis = _axis(name)
    if x.ndim <= axis or x.shape[axis] not in (1, count):
        raise ValueError(f"{name}: expected {count} rows, got the shape {x.shape}")
    x = x.astype(np.int32) if x.dtype.kind == "i" else x
    return x if x.shape[axis] == count else np.repeat(x, count, axis=axis)


def of_outputs(mix: Mix, outputs: NDArray[np.int64]) -> Mix:
    """Return the mix restricted to the given outputs."""
    arrays = {name: np.take(x, outputs, axis=_axis(name)) for name, x in mix.region.arrays().items()}
    region = type(mix.region).of(arrays, mix.index.shape[0])
    return Mix(mix.index[:, outputs], mix.lam[:, outputs], region, mix.size, mix.source_size)


def digest(image: Any) -> int:
    """Return a 64-bit hash of an image, BLAKE2b of its bytes, as a signed integer."""
    content = np.ascontiguousarray(np.asarray(image)).tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


def images_of(batch: Batch, fields: Fields | None) -> Any:
    """Return the first field of images of a batch."""
    kinds = resolve(batch, fields, None)
    name = next(name for name, kind in kinds.items() if isinstance(kind, Images))
    return tree.at(batch, name)


def stacked(samples: Any) -> Batch:
    """Return samples as a batch."""
    columns = [tree.leaves(sample) for sample in samples]
    return tree.each(samples[0], lambda name, _: np.stack([np.asarray(column[name]) for column in columns]))
