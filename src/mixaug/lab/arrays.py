"""Datasets from .npz files."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .dataset import Data, Split, checked, stratified
from .errors import LabError

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Samples: TypeAlias = tuple[NDArray[Any], NDArray[np.int64]]

WITH_SPLIT = (  #: names of training images and labels, test images and labels
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
)
WITHOUT_SPLIT = (("images", "labels"), ("x", "y"))
NAMES = "classes"  #: the array with the names of the classes


def npz(path: Path, seed: int = 0, test: Path | None = None) -> Data:
    """Read a dataset from an .npz file, without unpickling.

    Images are uint8 (n, h, w) or (n, h, w, 1 or 3), labels integers (n,) or (n, 1). The arrays are named `x_train`,
    `y_train`, `x_test`, `y_test` (as in Keras) or `train_images`, `train_labels`, `test_images`, `test_labels` (as in
    MedMNIST); or, without a split, `images` and `labels` or `x` and `y`, and a fifth of each class becomes the test
    split. An array of strings `classes` may name the classes 0, 1, ...; by default, classes are named by their numbers.

    Args:
        path: the file.
        seed: the seed of the 80/20 split.
        test: a file to use as the test split: its own test split, or all of its images if it has none.

    Raises:
        LabError: if the file is missing, damaged or lacks such arrays, a class has no training image, or a class has
            only one image and cannot be split.
    """
    arrays = _read(path.expanduser())
    train, held_out = _parts(arrays, path)
    if test is not None:
        others, test_split = _parts(_read(test.expanduser()), test)
        held_out = test_split or others
    names = _names(arrays, train, path)
    if held_out is None:
        _check_counts(train[1], names, path)
        rows = stratified(train[1], len(names), seed)
        train, held_out = ((train[0][part], train[1][part]) for part in rows)
    beyond = held_out[1][held_out[1] >= len(names)]
    if beyond.size:
        way_out = "add images of it to train on, or remove it from the test images"
        raise LabError(
            f"expected test labels in 0..{len(names) - 1}, as in training, got {beyond[0]} in {test or path}, "
            f"a class in the test alone: {way_out}"
        )
    return checked(Data(f"npz:{path}", names, Split(*train), Split(*held_out)))


def _read(path: Path) -> Arrays:
    if not path.is_file():
        raise LabError(f"expected an .npz file, got {path}: {'no file' if path.exists() else 'no such file'}")
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with file:
            wanted = [name for names in (*WITH_SPLIT, *WITHOUT_SPLIT, (NAMES,)) for name in names]
            arrays = {name: file[name] for name in file.files if name in wanted}
            others = [name for name in file.files if name not in wanted]
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error, NotImplementedError) as error:
        way_out = "write it again, with np.savez and arrays of numbers"
        raise LabError(
            f"expected an .npz file of arrays, got {path}, which cannot be read ({error}): {way_out}"
        ) from error
    if not any(set(names) <= set(arrays) for names in (*WITH_SPLIT, *WITHOUT_SPLIT)):
        known = " or ".join(", ".join(names) for names in (*WITH_SPLIT, *WITHOUT_SPLIT))
        came = ", ".join([*arrays, *others]) or "nothing"
        raise LabError(f"expected arrays {known} in {path}, got {came}: rename them with np.savez")
    return arrays


def _parts(arrays: Arrays, path: Path) -> tuple[Samples, Samples | None]:
    """Return the training samples, and the test samples or None."""
    found = [names for names in (*WITH_SPLIT, *WITHOUT_SPLIT) if set(names) <= set(arrays)]
    if len(found) > 1:
        came = " and ".join(", ".join(names) for names in found)
        raise LabError(f"expected arrays of one naming in {path}, got {came}: keep one of these with np.savez")
    names = found[0]
    samples = [_samples(arrays[x], arrays[y], x, y, path) for x, y in zip(names[::2], names[1::2], strict=True)]
    return samples[0], samples[1] if len(samples) > 1 else None


def _samples(images: NDArray[Any], labels: NDArray[Any], x: str, y: str, path: Path) -> Samples:
    if images.ndim == 3:
        images = images[..., None]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise LabError(
            f"expected uint8 images {x} (n, h, w) or (n, h, w, 1 or 3) in {path}, got {images.dtype} {images.shape}: "
            "scale to 0..255, round, cast to uint8, put the channels last"
        )
    if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
        raise LabError(
            f"expected labels {y} in {path}, one integer for each of {len(images)} images, got {labels.dtype} "
            f"{labels.shape}: give one class id an image"
        )
    if labels.min() < 0 or labels.max() > 2**31:
        raise LabError(f"expected class ids 0, 1, ... in {y} of {path}, got {labels.min()} to {labels.max()}: renumber")
    return images, labels.astype(np.int64)


def _names(arrays: Arrays, train: Samples, path: Path) -> tuple[str, ...]:
    """Return the names of the classes, after checking that each has a training image."""
    named = arrays.get(NAMES)
    if named is not None and (named.dtype.kind != "U" or named.ndim != 1 or len(set(named.tolist())) < named.size):
        raise LabError(f"expected different texts in {NAMES} of {path}, got {named.dtype} {named.shape}: rename them")
    present = np.unique(train[1])
    count = int(present[-1]) + 1 if named is None else named.size
    if count < 2:
        raise LabError(f"expected two classes or more in {path}, got {count}: there is nothing to tell apart")
    if present[-1] >= count:
        raise LabError(f"expected class ids in 0..{count - 1} in {path}, got {present[-1]}: name its class too")
    if len(present) < count:
        missing = next(i for i in range(count) if i not in present)
        raise LabError(
            f"expected an image of every class 0..{count - 1} to train on in {path}, got none of {missing}: renumber "
            "the classes without a gap"
        )
    return tuple(map(str, range(count))) if named is None else tuple(named.tolist())


def _check_counts(labels: NDArray[np.int64], names: tuple[str, ...], path: Path) -> None:
    """Raise a LabError for a class with one image, which cannot be split."""
    counts = np.bincount(labels, minlength=len(names))
    for name, count in zip(names, counts.tolist(), strict=True):
        if count < 2:
            raise LabError(
                f"expected two or more images of class {name!r} in {path}, got {count}: add some, or name test images "
                "with --test-data"
            )
