"""Datasets from a folder with one sub-folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .dataset import Data, Found, Sizes, Split, checked, generator
from .decoded import Job, file_stamp, in_cache, in_memory
from .errors import LabError
from .progress import Progress
from .reading import Cell, cell, image_files, upright, visible

ClassFiles: TypeAlias = dict[str, list[Path]]
Labelled: TypeAlias = list[tuple[Path, int]]


@dataclass(frozen=True)
class Options:
    """The options for reading folders.

    Args:
        image_size: side of the images, in pixels.
        seed: the seed of the split into train and test.
        skip_damaged: whether to skip unreadable files instead of raising an error.
        progress: reports the number of images read.
    """

    image_size: int
    seed: int = 0
    skip_damaged: bool = False
    progress: Progress = Progress()  # noqa: RUF009 - it has no state


def folder(path: Path, options: Options, test: Path | None = None) -> Found:
    """Find a dataset in a folder with one sub-folder per class, sorted by name.

    If `path` has sub-folders `train` and `test` (or `val`), they are the splits and contain the class folders. If the
    argument `test` is given, `path` is the training split and `test` the test split (if these folders have splits
    themselves, the split of that name is used). Otherwise a fifth of each class, chosen by the seed, is the test split.

    Images are turned upright (EXIF), stripped of alpha, and resized to squares with antialiasing. They are grey if all
    of them are, otherwise RGB; 16-bit grey images are scaled by their common range. Hidden files and files that are not
    images are ignored. Images are decoded once into the cache folder: see `decoded.in_cache`.

    Raises:
        LabError: if a folder is missing or has another layout, a class is empty or missing in one split, or an image
            cannot be read.
    """
    path = path.expanduser()
    train, held_out = _parts(path, options.seed) if test is None else _two(path, test.expanduser())
    classes = tuple(train)
    parts = [_labelled(files) for files in (train, held_out)]
    name = f"folder:{path}"

    def look(rows: NDArray[np.int64]) -> Data:
        chosen = [parts[0][row] for row in rows]
        decoded = in_memory(_job(chosen, options.image_size))
        split = _split(decoded.arrays[0], chosen)
        return checked(Data(name, classes, split, split, notes=decoded.notes))

    def read(sizes: Sizes) -> Data:
        chosen = [
            _chosen(sizes, split, part, len(classes)) for split, part in zip(("train", "test"), parts, strict=True)
        ]
        items = [*chosen[0], *chosen[1]]
        decoded = in_cache(_job(items, options.image_size), options.progress, skip_damaged=options.skip_damaged)
        border = sum(row < len(chosen[0]) for row in decoded.rows)
        kept = [items[row] for row in decoded.rows]
        images = decoded.arrays[0]
        splits = _split(images[:border], kept[:border]), _split(images[border:], kept[border:])
        for split, where in zip(splits, ("to train on", "to be tested on"), strict=True):
            _check_classes(split, classes, where)
        left_out = tuple(str(damage.path) for damage in decoded.damaged)
        notes = (*decoded.notes, *(f"left out: {damage.path} ({damage.reason})" for damage in decoded.damaged))
        return checked(Data(name, classes, *splits, notes=notes, left_out=left_out))

    return Found(len(parts[0]), look, read)


def _job(chosen: Labelled, size: int) -> Job:
    def read(item: tuple[Path, int]) -> tuple[Cell, ...]:
        return (cell(upright(item[0]), item[0], size),)

    return Job(chosen, read, ("image",), ((size, size, 3),), lambda: file_stamp([path for path, _ in chosen]))


def _chosen(sizes: Sizes, split: str, part: Labelled, classes: int) -> Labelled:
    rows = sizes.rows(split, len(part), np.array([label for _, label in part], np.int64), classes)
    return part if rows is None else [part[row] for row in rows]


def _check_classes(split: Split, classes: Sequence[str], where: str) -> None:
    """Raise a LabError if a class has no image left after skipping damaged files."""
    missing = [name for label, name in enumerate(classes) if label not in split.targets]
    if missing:
        way_out = "repair some of its files, or remove the class"
        raise LabError(f"expected an image of {missing[0]!r} {where} that can be read, got none: {way_out}")


def _parts(path: Path, seed: int) -> tuple[ClassFiles, ClassFiles]:
    """Return the training files and the test files."""
    _check_folder(path)
    held_out = _held_out(path)
    if held_out is None:
        return _halves(_class_files(path), seed)
    train, test = _class_files(path / "train"), _class_files(path / held_out)
    _same_classes((f"train of {path}", set(train)), (f"{held_out} of {path}", set(test)))
    return train, test


def _two(path: Path, test: Path) -> tuple[ClassFiles, ClassFiles]:
    """Return the training files in `path` and the test files in `test`: all files, or those of the split."""
    for one in (path, test):
        _check_folder(one)
    split = _held_out(test)
    train_files = _class_files(path / "train" if _held_out(path) else path)
    test_files = _class_files(test / split if split else test)
    _same_classes((str(path), set(train_files)), (str(test), set(test_files)))
    return train_files, test_files


def _held_out(path: Path) -> str | None:
    """Return the name of the sub-folder with the test split, or None if the folder has no splits."""
    if not (path / "train").is_dir():
        return None
    return next((name for name in ("test", "val") if (path / name).is_dir()), None)


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        came = "a file: name the folder that holds the class folders" if path.exists() else "no such folder"
        if "," in str(path) and not path.exists():
            came += f", write folders:{path} for two folders"
        raise LabError(f"expected a folder of images, got {path}: {came}")


def _class_files(path: Path) -> ClassFiles:
    """Return the image files of each class folder in `path`, all sorted by name."""
    files = {entry.name: image_files(entry) for entry in visible(path) if entry.is_dir()}
    if len(files) < 2:
        came = f"only {next(iter(files))!r}" if files else "none"
        raise LabError(f"expected two or more class folders in {path}, got {came}: put each class in its own folder")
    for name, images in files.items():
        if not images:
            raise LabError(f"expected images in {path / name}, got none: add some, or remove the folder")
    return files


def _same_classes(train: tuple[str, set[str]], test: tuple[str, set[str]]) -> None:
    """Raise a LabError for a class in only one of two splits, each given as a name and its classes."""
    if train[1] != test[1]:
        name = min(train[1] ^ test[1])
        there, missing = (train[0], test[0]) if name in train[1] else (test[0], train[0])
        raise LabError(
            f"expected the same classes in {train[0]} and {test[0]}, got no {name!r} in {missing}: add images of it "
            f"there, or remove it from {there}"
        )


def _halves(files: ClassFiles, seed: int) -> tuple[ClassFiles, ClassFiles]:
    """Split files into train and test: a fifth of each class, and at least one file, is for the test."""
    shuffle = generator(seed).permutation
    train, test = {}, {}
    for name, paths in files.items():
        if len(paths) < 2:
            raise LabError(f"expected two or more images in {paths[0].parent}, got 1: add some, or split by hand")
        mixed = [paths[i] for i in shuffle(len(paths))]
        held_out = max(1, len(mixed) // 5)
        train[name], test[name] = mixed[held_out:], mixed[:held_out]
    return train, test


def _labelled(files: ClassFiles) -> Labelled:
    """Return each file with its class id."""
    return [(path, i) for i, paths in enumerate(files.values()) for path in paths]


def _split(images: NDArray[np.uint8], part: Labelled) -> Split:
    labels = np.array([i for _, i in part], np.int64)
    return Split(images, labels, names=tuple(path.name for path, _ in part))
