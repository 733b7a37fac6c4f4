"""Datasets of Hugging Face's `datasets`, from the hub or from disk."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .class_folders import Options
from .dataset import Data, Found, Sizes, Split, checked, stratified
from .decoded import Job, in_cache, in_memory
from .errors import LabError
from .reading import Cell, cell, upright

HELD_OUT = ("test", "validation", "valid", "val")  #: names of test splits; the first one found is used


class Name(NamedTuple):
    """The parts of NAME[,config=CONFIG][,image=COLUMN][,label=COLUMN].

    >>> Name.of("cifar100,label=fine_label")
    Name(path='cifar100', config=None, image=None, label='fine_label')
    """

    path: str
    config: str | None = None
    image: str | None = None
    label: str | None = None

    @classmethod
    def of(cls, text: str) -> Name:
        """Parse the text.

        Raises:
            LabError: if it has another form.
        """
        path, *options = text.split(",")
        said = dict(option.partition("=")[::2] for option in options)
        if not path or set(said) - {"config", "image", "label"} or not all(said.values()) or len(said) < len(options):
            raise LabError(
                f"expected hf:NAME, with ,config=CONFIG ,image=COLUMN ,label=COLUMN where several fit, got {text!r}: "
                "name each of these once"
            )
        return cls(path, **said)


class Part(NamedTuple):
    """Rows of a split: the table, the row numbers, and their class ids."""

    table: Any
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    def take(self, chosen: NDArray[np.int64] | None) -> Part:
        """Return the chosen rows; None: all of them."""
        return self if chosen is None else Part(self.table, self.rows[chosen], self.labels[chosen])


def hub(text: str, options: Options, test: str | None = None) -> Found:
    """Find a dataset of `datasets`: a folder written by `save_to_disk`, or a name on the hub.

    It needs a column of images and a column of class labels; if there are several, name the one to use:
    `cifar100,label=fine_label`. The test split is the split `test` (or `validation`), or else a fifth of each class.
    Images are read as in `folder`, and decoded once into the cache folder.

    Args:
        text: the name, as `Name` parses it.
        options: the options for reading images.
        test: another such dataset to use as the test split: its own test split, or all of it if it has none.

    Raises:
        LabError: if the package `datasets` is not installed, or the dataset or its columns do not exist.
    """
    name = Name.of(text)
    splits, classes, column = _opened(name)
    train, held_out = _parts(splits, name)
    if test is not None:
        there = Name.of(test)
        others, theirs, other_column = _opened(there)
        if (theirs, other_column) != (classes, column):
            came = f"{other_column} of {', '.join(theirs)}"
            raise LabError(
                f"expected images and classes of {test} named as those of {text} ({column} of {', '.join(classes)}), "
                f"got {came}: rename them"
            )
        other_train, other_test = _parts(others, there)
        held_out = other_test or other_train
    if held_out is None:
        counts = np.bincount(train.labels, minlength=len(classes))
        if counts.min() < 2:
            raise LabError(
                f"expected two or more images of {classes[counts.argmin()]!r} in {text}, got {counts.min()}: add some, "
                "or name test images with --test-data"
            )
        train, held_out = (train.take(rows) for rows in stratified(train.labels, len(classes), options.seed))
    for part, other, where in ((train, held_out, "train"), (held_out, train, "test")):
        alone = sorted(set(other.labels.tolist()) - set(part.labels.tolist()))
        if alone:
            came = f"none of {classes[alone[0]]!r}"
            raise LabError(
                f"expected images of the same classes to train and to test on in {text}, got {came} in {where}: "
                "add some"
            )

    def look(rows: NDArray[np.int64]) -> Data:
        part = train.take(rows)
        decoded = in_memory(_job([part], column, options.image_size))
        split = Split(decoded.arrays[0], part.labels)
        return checked(Data(f"hf:{text}", classes, split, split, notes=decoded.notes))

    def read(sizes: Sizes) -> Data:
        parts = [
            part.take(sizes.rows(split, len(part.rows), part.labels, len(classes)))
            for split, part in (("train", train), ("test", held_out))
        ]
        job = _job(parts, column, options.image_size)
        decoded = in_cache(job, options.progress, skip_damaged=options.skip_damaged)
        labels = np.concatenate([part.labels for part in parts])[decoded.rows]
        border = sum(row < len(parts[0].rows) for row in decoded.rows)
        images = decoded.arrays[0]
        splits = Split(images[:border], labels[:border]), Split(images[border:], labels[border:])
        left_out = tuple(str(damage.path) for damage in decoded.damaged)
        notes = (*decoded.notes, *(f"left out: {damage.path} ({damage.reason})" for damage in decoded.damaged))
        return checked(Data(f"hf:{text}", classes, *splits, notes=notes, left_out=left_out))

    return Found(len(train.rows), look, read)


def _opened(name: Name) -> tuple[dict[str, Any], tuple[str, ...], str]:
    """Return the splits by name, with the label in the column "label", the class names, and the image column."""
    try:
        datasets = import_module("datasets")
    except ModuleNotFoundError as error:
        raise LabError("expected the package datasets for hf:, got none: pip install datasets") from error
    path = Path(name.path).expanduser()
    try:
        if path.is_dir() and any((path / file).is_file() for file in ("dataset_dict.json", "dataset_info.json")):
            found = datasets.load_from_disk(str(path))
        else:
            found = datasets.load_dataset(name.path, name.config)
    except Exception as error:  # errors of the network, of files, of Arrow
        came = " ".join(str(error).split())
        raise LabError(
            f"expected a dataset that save_to_disk wrote, or one of the hub, got {name.path} ({came}): check the name "
            "and the network"
        ) from error
    splits = dict(found) if isinstance(found, dict) else {"train": found}
    features = next(iter(splits.values())).features
    image = _column(features, datasets.Image, name.image, "image", name)
    label = _column(features, datasets.ClassLabel, name.label, "label", name)
    classes = tuple(features[label].names)
    if len(classes) < 2:
        raise LabError(
            f"expected two classes or more in {label} of {name.path}, got {len(classes)}: choose another column"
        )
    encoded = datasets.Image(decode=False)
    splits = {
        split: table.select_columns([image, label]).rename_column(label, "label").cast_column(image, encoded)
        if label != "label"
        else table.select_columns([image, label]).cast_column(image, encoded)
        for split, table in splits.items()
    }
    return splits, classes, image


def _column(features: Any, kind: type, said: str | None, option: str, name: Name) -> str:
    """Return the column of a kind; if there are several, the one named by the user."""
    fit = [column for column, feature in features.items() if isinstance(feature, kind)]
    if said is not None and said not in fit:
        raise LabError(
            f"expected {option}= one of {', '.join(fit) or 'none'} of {name.path}, got {said!r}: name one of these"
        )
    if not fit:
        raise LabError(
            f"expected a column of {kind.__name__} in {name.path}, got {', '.join(features)}: cast one with cast_column"
        )
    if said is None and len(fit) > 1:
        raise LabError(
            f"expected one column of {kind.__name__} in {name.path}, got {', '.join(fit)}: name one, "
            f"hf:{name.path},{option}={fit[0]}"
        )
    return said or fit[0]


def _parts(splits: dict[str, Any], name: Name) -> tuple[Part, Part | None]:
    """Return the training samples, and the test samples or None."""
    if len(splits) == 1:
        return _part(next(iter(splits.values())), name), None
    held_out = next((split for split in HELD_OUT if split in splits), None)
    if "train" not in splits or held_out is None:
        raise LabError(
            f"expected splits train and test (or validation) of {name.path}, got {', '.join(splits)}: save a "
            "DatasetDict with these"
        )
    return _part(splits["train"], name), _part(splits[held_out], name)


def _part(table: Any, name: Name) -> Part:
    labels = np.asarray(table["label"], dtype=np.float64)
    if not len(labels) or not np.isfinite(labels).all() or labels.min() < 0:
        came = f"{len(labels)} rows" if not len(labels) else "rows without a label"
        raise LabError(f"expected a class label in every row of {name.path}, got {came}: filter those out")
    return Part(table, np.arange(len(labels)), labels.astype(np.int64))


def _job(parts: Sequence[Part], column: str, size: int) -> Job:
    items = [(part.table, int(row)) for part in parts for row in part.rows]

    def read(item: tuple[Any, int]) -> tuple[Cell, ...]:
        table, row = item
        encoded = table[row][column] or {}
        path = Path(encoded.get("path") or f"row {row}")
        content = encoded.get("bytes")
        return (cell(upright(path, content), path, size),)

    def stamp() -> object:
        return [(part.table._fingerprint, part.rows.tolist()) for part in parts]

    return Job(items, read, ("image",), ((size, size, 3),), stamp)
