"""The description of an augmented dataset, stored as JSON, and its source samples."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...epoch import RowOptions
from ...fields import Boxes, Field, Images, Labels, Masks
from ...recipes import Recipe
from ...recipes.combine import check_item_recipe
from ...sources import Folder, Samples
from ..config import option, read_mixing
from ..data import load
from ..dataset import Data
from ..errors import LabError

FORMATS = ("folder", "npz", "parquet", "mixes")
IMAGES = ("png", "jpeg")

_SHARD_BYTES = 2**25  # the approximate size of the mixed pixels of a shard
_SHARD_ROWS = 4096  # the maximum number of rows per shard


@dataclass(frozen=True)
class Job:
    """An augmented dataset to write. Fields are checked on construction.

    Args:
        data: the dataset, as in `mixaug.lab.data.load`; but all images of `folder:PATH` are used, and read on access.
        recipe: the recipe as text.
        seed: any int.
        epoch: the number of the epoch, for recipes with a schedule, or to write different mixes.
        copies: the number of mixed copies of the dataset; each has its own partners and mixes.
        format: one of FORMATS.
        images: the encoding of images in folders and Parquet, one of IMAGES.
        task: as in `load`.
        image_size: as in `load`.
        classes: as in `load`.
        ignore_index: as in `load`.
        shard_rows: the number of rows per shard; None: about 32 MB of pixels.

    Raises:
        LabError: if a field is invalid.
    """

    data: str
    recipe: str
    seed: int = 0
    epoch: int = 0
    copies: int = 1
    format: str = "folder"
    images: str = "png"
    task: str = "classification"
    image_size: int | None = None
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
    shard_rows: int | None = None

    def __post_init__(self) -> None:
        for name, low in (("epoch", 0), ("copies", 1)):
            self._expect(_whole(getattr(self, name), low), name, f"a whole number of {low} or more")
        self._expect(_whole(self.seed, -math.inf), "seed", "a whole number")
        self._expect(self.format in FORMATS, "format", " or ".join(FORMATS[:-1]))
        self._expect(self.images in IMAGES, "images", " or ".join(IMAGES))
        self._expect(self.shard_rows is None or _whole(self.shard_rows, 1), "shard_rows", "a whole number above 0")
        try:
            check_item_recipe("--recipe", read_mixing(self.recipe), "write it without per_batch(...)")
        except ValueError as error:
            raise LabError(str(error)) from None
        if needs := self.mixed_by.needs:
            raise LabError(
                f"expected a --recipe that looks at no guide, got {self.recipe!r}, which needs {' and '.join(needs)}: "
                "take another one, or write what ma.torch.MixedDataset makes of samples that hold the guide"
            )

    def _expect(self, ok: object, name: str, expected: str) -> None:
        if not ok:
            raise LabError(f"expected {option(name)} to be {expected}, got {getattr(self, name)!r}")

    @property
    def mixed_by(self) -> Recipe:
        """Return the recipe."""
        return read_mixing(self.recipe)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Job:
        """Return the job with the fields from `to_dict`."""
        values: dict[str, Any] = {field.name: found[field.name] for field in fields(cls)}
        values |= {name: tuple(x) for name, x in values.items() if isinstance(x, list)}
        return cls(**values)


@dataclass(frozen=True)
class Opened:
    """The source samples of a job.

    Args:
        rows: the number of samples.
        size: height and width of all images.
        channels: 1 or 3.
        classes: the names of the class ids.
        source: a folder whose images are read on access, or a dataset in memory.
    """

    rows: int
    size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    source: Samples | Data

    def batch(self, rows: list[int]) -> dict[str, Any]:
        """Return the samples of rows: "image" and, if known, "label", "mask", "target", "objects"."""
        if isinstance(self.source, Data):
            split = self.source.train.take(rows)
            named = {"image": split.images, _TARGETS[self.source.task]: split.targets}
            return named if split.boxes is None else {**named, "objects": dict(split.boxes)}
        samples = [self.source[row] for row in rows]
        for row, sample in zip(rows, samples, strict=True):
            if sample["image"].shape[:2] != self.size:
                raise LabError(
                    f"expected images of one size, got {sample['image'].shape[:2]} in row {row} and {self.size} in the "
                    "first: pass --image-size, such as --image-size 224"
                )
        return {name: np.stack([sample[name] for sample in samples]) for name in ("image", "label")}

    def options(self) -> RowOptions:
        """Return the options for mixing the samples."""
        ignored = self.source.ignore_index if isinstance(self.source, Data) else None
        kinds: dict[str, Field] = {
            "image": Images(),
            "label": Labels(len(self.classes)) if self.classes else Labels(),
            "mask": Masks(num_classes=len(self.classes) or None, ignore_index=ignored),
            "target": Images(),
            "objects": Boxes(),
        }
        form = self.batch([0])
        return {"fields": {name: kinds[name] for name in form}, "return_mix": True, "advises": False}


_TARGETS = {"classification": "label", "segmentation": "mask", "image2image": "target"}


@lru_cache(maxsize=1)
def opened(job: Job) -> Opened:
    """Return the source samples of a job, opened once per process.

    Raises:
        LabError: if they cannot be read.
    """
    kind, _, path = job.data.partition(":")
    if kind == "folder" and job.task == "classification":
        return _of_folder(Path(path).expanduser(), job.image_size)
    data = load(job.data, task=job.task, image_size=job.image_size, classes=job.classes, ignore_index=job.ignore_index)
    return Opened(len(data.train), data.size, data.channels, data.classes, data)


def _of_folder(path: Path, image_size: int | None) -> Opened:
    if {"train", "test"} <= (names := {one.name for one in path.iterdir()} if path.is_dir() else set()) or (
        {"train", "val"} <= names
    ):
        raise LabError(
            f"expected a folder of class folders, got {path}, which has splits: name one, folder:{path / 'train'}"
        )
    folder = Folder(path, image_size)
    try:
        first = folder[0]["image"]
    except ValueError as error:
        raise LabError(str(error).removeprefix("source: ")) from None
    return Opened(len(folder), first.shape[:2], 3, folder.classes, folder)


def shard_rows(job: Job, data: Opened) -> int:
    """Return the number of rows per shard."""
    if job.shard_rows is not None:
        return job.shard_rows
    if job.format == "mixes":
        return 2**16
    return max(1, min(_SHARD_ROWS, _SHARD_BYTES // (math.prod(data.size) * data.channels)))


def _whole(value: object, low: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
