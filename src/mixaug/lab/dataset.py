"""The datasets of the lab: uint8 images, each with a class id, a mask of class ids or a target image."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from .errors import LabError, unknown

BLOCK = 256  #: the number of rows that are checked at a time
TASKS = ("classification", "segmentation", "image2image")


class Objects(TypedDict):
    """The boxes of at most m objects per image, padded with -1.

    boxes: float32 (n, m, 4), left, top, right and bottom edge in pixels. labels: int64 (n, m), their class ids.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images and their targets.

    Args:
        images: uint8 (n, h, w, 1 or 3).
        targets: int64 (n,) class ids; uint8 (n, h, w) masks of class ids; or uint8 (n, h, w, 1 or 3) target images.
        boxes: the objects in the images, if known.
        names: the names of the image files, if they come from a folder.
    """

    images: NDArray[np.uint8]
    targets: NDArray[Any]
    boxes: Objects | None = None
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Split:
        """Return the samples of the given rows, in that order, in memory."""
        boxes = self.boxes and Objects(boxes=self.boxes["boxes"][rows], labels=self.boxes["labels"][rows])
        names = self.names and tuple(self.names[row] for row in rows)
        taken = Split(self.images[rows], self.targets[rows], boxes, names)
        release(self.images)
        release(self.targets)
        return taken

    def arrays(self) -> list[NDArray[Any]]:
        """Return all arrays, without the names."""
        return [self.images, self.targets, *([] if self.boxes is None else (self.boxes["boxes"], self.boxes["labels"]))]


@dataclass(frozen=True)
class Data:
    """A dataset for a task.

    Args:
        name: the name it was loaded by.
        classes: the names of the class ids; empty if there are no classes.
        train: the training samples.
        test: the test samples.
        task: "classification", "segmentation" or "image2image", which determines the targets.
        ignore_index: the id of mask pixels to ignore.
        notes: sentences for the user on how the data were read.
        left_out: unreadable files that were skipped.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    task: str = "classification"
    ignore_index: int | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every image, in pixels."""
        _, height, width, _ = self.train.images.shape
        return height, width

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return int(self.train.images.shape[-1])

    def to_json(self) -> str:
        """Return a description as JSON, with a SHA-256 of all images, targets and boxes to identify it."""
        digest = hashlib.sha256()
        for array in (*self.train.arrays(), *self.test.arrays()):
            for start in range(0, len(array), BLOCK):
                digest.update(np.ascontiguousarray(array[start : start + BLOCK]).reshape(-1).view(np.uint8).data)
                release(array)
        what = {"name": self.name, "task": self.task, "classes": self.classes, "ignore_index": self.ignore_index}
        shape = {"train": len(self.train), "test": len(self.test), "size": self.size, "channels": self.channels}
        left_out = {"left_out": self.left_out} if self.left_out else {}
        return json.dumps({**what, **shape, **left_out, "sha256": digest.hexdigest()}, indent=2) + "\n"

    def files(self) -> dict[str, list[str]]:
        """Return the file names of each split, preceded by their classes; empty if samples have no names."""
        if self.train.names is None or self.test.names is None:
            return {}
        return {"train": self._files(self.train), "test": self._files(self.test)}

    def _files(self, split: Split) -> list[str]:
        names = split.names or ()
        if self.task != "classification":
            return list(names)
        return [f"{self.classes[label]}/{name}" for label, name in zip(split.targets.tolist(), names, strict=True)]


@dataclass(frozen=True)
class Sizes:
    """The number of samples to keep, selected by a seed.

    Args:
        train: the number of training samples; None: all.
        test: the number of test samples; None: all.
        seed: any int.
    """

    train: int | None = None
    test: int | None = None
    seed: int = 0

    def rows(self, split: str, count: int, labels: NDArray[np.int64] | None, classes: int) -> NDArray[np.int64] | None:
        """Return the rows to keep of a split, "train" or "test"; None: all of them.

        They are the first rows in an order shuffled by the seed; with labels, the order cycles through the classes.

        Raises:
            LabError: if fewer samples than classes are requested, or more than the split has.
        """
        size = self.train if split == "train" else self.test
        if size is None:
            return None
        least = 1 if labels is None else classes
        if not least <= size <= count:
            first = "1" if labels is None else f"{least} (one a class)"
            raise LabError(f"expected a {split} size of {first} to {count} (all), got {size}: choose one of these")
        shuffle = generator(self.seed).permutation
        if labels is None:
            return np.asarray(shuffle(count)[:size])
        rows = [shuffle(np.flatnonzero(labels == c)).tolist() for c in range(classes)]
        turns = [row for row in chain.from_iterable(zip_longest(*rows)) if row is not None]
        return np.array(turns[:size], np.int64)

    def of(self, data: Data) -> Data:
        """Return the dataset reduced to these sizes, in memory."""

        def kept(name: str, split: Split) -> Split:
            labels = split.targets if data.task == "classification" else None
            rows = self.rows(name, len(split), labels, len(data.classes))
            return split if rows is None else split.take(rows)

        return replace(data, train=kept("train", data.train), test=kept("test", data.test))


@dataclass(frozen=True)
class Found:
    """A dataset whose training samples are counted, but not read yet.

    Args:
        count: the number of training samples.
        look: a function that reads the given rows of the training split, and returns them as both splits.
        read: a function that reads both splits, reduced to the given sizes.
    """

    count: int
    look: Callable[[NDArray[np.int64]], Data]
    read: Callable[[Sizes], Data]

    @classmethod
    def of(cls, data: Data) -> Found:
        """Wrap a dataset that is already in memory."""

        def look(rows: NDArray[np.int64]) -> Data:
            split = data.train.take(rows)
            return replace(data, train=split, test=split)

        return cls(len(data.train), look, lambda sizes: sizes.of(data))


def checked(data: Data) -> Data:
    """Check both splits of a dataset and return it."""
    for split in (data.train, data.test):
        check(split, len(data.classes), task=data.task, ignore_index=data.ignore_index)
    return data


def check(split: Split, classes: int, *, task: str = "classification", ignore_index: int | None = None) -> Split:
    """Check that a split has the arrays that `Split` describes, and return it.

    Args:
        split: any arrays.
        classes: the number of classes.
        task: the task, which determines the targets.
        ignore_index: an additional id that mask pixels may have.

    Raises:
        LabError: if dtypes or shapes are wrong, there are no images, or ids are outside 0..classes-1.

    >>> check(Split(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 5])), classes=3)
    Traceback (most recent call last):
    mixaug.lab.errors.LabError: expected labels in 0..2, got 5: number the classes from 0
    """
    _check_images(split.images, "images")
    if task == "classification":
        _check_labels(split.targets, len(split), classes)
    elif task == "segmentation":
        _check_masks(split.targets, split.images.shape[:3], classes, ignore_index)
    elif task == "image2image":
        _check_images(split.targets, "target images")
        if split.targets.shape[:3] != split.images.shape[:3]:
            raise LabError(
                f"expected target images {split.images.shape[:3]}, as the images are, got {split.targets.shape[:3]}: "
                "give one of its size an image"
            )
    else:
        raise unknown("a task", task, TASKS)
    if split.boxes is not None:
        _check_boxes(split.boxes, len(split), classes)
    return split


def _check_images(images: NDArray[Any], what: str) -> None:
    if images.dtype != np.uint8:
        raise LabError(f"expected uint8 {what} of 0..255, got {images.dtype}: scale to 0..255, round, cast to uint8")
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise LabError(f"expected {what} (n, h, w, 1 or 3), got {images.shape}: put the channels last, drop any alpha")


def _check_labels(labels: NDArray[Any], n: int, classes: int) -> None:
    if labels.dtype != np.int64 or labels.shape != (n,):
        raise LabError(f"expected int64 labels ({n},), got {labels.dtype} {labels.shape}: give one class id an image")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise LabError(f"expected labels in 0..{classes - 1}, got {wrong[0]}: number the classes from 0")


def _check_masks(masks: NDArray[Any], shape: tuple[int, ...], classes: int, ignore_index: int | None) -> None:
    if masks.dtype != np.uint8 or masks.shape != shape:
        raise LabError(f"expected uint8 masks {shape}, got {masks.dtype} {masks.shape}: give one class id a pixel")
    counts = sum(np.bincount(mask.ravel(), minlength=256) for mask in masks)  # per mask, to save memory
    wrong = [i for i in np.flatnonzero(counts).tolist() if i >= classes and i != ignore_index]
    if wrong:
        or_ignored = "" if ignore_index is None else f" or {ignore_index} (ignored)"
        way_out = "number the classes from 0, or name the id of ignored pixels"
        raise LabError(f"expected mask ids in 0..{classes - 1}{or_ignored}, got {wrong[0]}: {way_out}")


def _check_boxes(objects: Objects, n: int, classes: int) -> None:
    boxes, labels = objects["boxes"], objects["labels"]
    if boxes.dtype != np.float32 or labels.dtype != np.int64 or boxes.shape != (n, *labels.shape[1:], 4):
        came = f"{boxes.dtype} {boxes.shape} and {labels.dtype} {labels.shape}"
        raise LabError(
            f"expected float32 boxes ({n}, m, 4) and int64 labels ({n}, m), got {came}: pad both to one length with -1"
        )
    wrong = labels[(labels < -1) | (labels >= classes)]
    if wrong.size:
        raise LabError(f"expected labels of boxes in -1..{classes - 1}, got {wrong[0]}: -1 is padding")


def release(array: NDArray[Any]) -> None:
    """Release the memory pages of a memory-mapped array; its content stays in the file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def stratified(labels: NDArray[np.int64], classes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training rows and test rows: a fifth of each class, and at least one row, is for the test.

    >>> [rows.tolist() for rows in stratified(np.array([0, 1, 0, 1]), 2, seed=0)]
    [[2, 1], [0, 3]]
    """
    shuffle = generator(seed).permutation
    train, test = [], []
    for c in range(classes):
        rows = shuffle(np.flatnonzero(labels == c))
        count = max(1, len(rows) // 5)
        test.append(rows[:count])
        train.append(rows[count:])
    return np.concatenate(train), np.concatenate(test)


def balanced(split: Split, classes: int) -> tuple[float, ...]:
    """Return balanced class weights, with a mean of 1 over the images: n / (classes * images of the class).

    >>> balanced(Split(np.zeros((4, 8, 8, 1), np.uint8), np.array([0, 0, 0, 1])), 2)
    (0.6666666666666666, 2.0)
    """
    counts = np.bincount(split.targets, minlength=classes)
    return tuple((len(split) / (classes * np.maximum(counts, 1))).tolist())


def generator(seed: int) -> np.random.Generator:
    """Return a random generator seeded with any int, as everywhere in mixaug."""
    return np.random.Generator(np.random.Philox(seed % 2**64))
