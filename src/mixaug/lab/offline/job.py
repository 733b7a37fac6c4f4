"""What an augmented dataset is: a frozen value in JSON both ways, and the samples that it is made of."""

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

_SHARD_BYTES = 2**25  # of the mixed pixels of a shard, about
_SHARD_ROWS = 4096  # of a shard, at most


@dataclass(frozen=True)
class Job:
    """An augmented dataset. Each field is checked when the value is made.

    Args:
        data: as for `mixaug.lab.data.load`; but all images of `folder:PATH` are taken, and read when they are needed.
        recipe: what to mix by, a text.
        seed: any int.
        epoch: which epoch, for recipes with a schedule, and to make others than before.
        copies: how many mixed copies of the dataset; each has partners and mixes of its own.
        format: one of FORMATS.
        images: how images are encoded in folders and Parquet, one of IMAGES.
        task: as for `load`.
        image_size: as there.
        classes: as there.
        ignore_index: as there.
        shard_rows: how many rows a shard has; None: so many that their pixels take about 32 MB.

    Raises:
        LabError: if a field is none of that.
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
        """The recipe itself."""
        return read_mixing(self.recipe)

    def to_dict(self) -> dict[str, Any]:
        """The fields, as JSON has them."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Job:
        """The job of the fields that `to_dict` gave."""
        values: dict[str, Any] = {field.name: found[field.name] for field in fields(cls)}
        values |= {name: tuple(x) for name, x in values.items() if isinstance(x, list)}
        return cls(**values)


@dataclass(frozen=True)
class Opened:
    """The samples of a job.

    Args:
        rows: how many.
        size: height and width of all images.
        channels: 1 or 3.
        classes: class id i is classes[i].
        source: a folder whose images are read when they are needed, or a dataset in memory.
    """

    rows: int
    size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    source: Samples | Data

    def batch(self, rows: list[int]) -> dict[str, Any]:
        """The samples of these rows: "image" and, of these, what is known: "label", "mask", "target", "objects"."""
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
        """How the samples are mixed."""
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
    """The samples of a job, which a process opens once.

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
    """How many rows a shard has."""
    if job.shard_rows is not None:
        return job.shard_rows
    if job.format == "mixes":
        return 2**16
    return max(1, min(_SHARD_ROWS, _SHARD_BYTES // (math.prod(data.size) * data.channels)))


def _whole(value: object, low: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
