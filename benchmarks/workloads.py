"""What is mixed: three shapes of batches, a dataset in memory, and the cases of the tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import mixaug as ma

from .timing import Pace

MEAN, STD = np.float32([0.4914, 0.4822, 0.4465]), np.float32([0.2470, 0.2435, 0.2616])
SCALE, OFFSET = 1 / (255 * STD), -MEAN / STD  #: normalised = SCALE * pixel + OFFSET, a channel
RECIPES = {"CutMix": ma.CutMix(alpha=1.0), "MixUp": ma.MixUp(alpha=1.0), "5-way MixUp": ma.MixUp(alpha=1.0, sources=5)}


@dataclass(frozen=True)
class Case:
    """What a column of a table is: a method, and the dtypes of the images that come and go."""

    method: str
    dtypes: str

    @property
    def name(self) -> str:
        """What the column is called."""
        return f"{self.method}, {self.dtypes}"

    @property
    def recipe(self) -> ma.Recipe:
        """Our recipe of the method."""
        return RECIPES[self.method]

    @property
    def normalises(self) -> bool:
        """Whether uint8 comes in and normalised float32 goes out."""
        return self.dtypes == "uint8 to float32"


@dataclass(frozen=True)
class Work:
    """A shape of a batch, and how often it is measured."""

    name: str
    rows: int
    size: tuple[int, int]
    classes: int
    cases: tuple[Case, ...]
    pace: Pace
    with_masks: bool = False

    @cached_property
    def pixels(self) -> np.ndarray:
        """Images, uint8 (n, h, w, 3)."""
        return np.random.default_rng(1).integers(0, 256, (self.rows, *self.size, 3), np.uint8)

    @cached_property
    def labels(self) -> np.ndarray:
        """Class ids, int64 (n,)."""
        return np.random.default_rng(2).integers(0, self.classes, self.rows)

    @cached_property
    def masks(self) -> np.ndarray:
        """Class ids of the pixels, int32 (n, h, w)."""
        return np.random.default_rng(3).integers(0, self.classes, (self.rows, *self.size), np.int32)

    def images(self, case: Case) -> np.ndarray:
        """The images of a case, (n, h, w, 3)."""
        return self.pixels if case.dtypes.startswith("uint8") else normalised(self.pixels)

    def nbytes(self, case: Case) -> int:
        """The bytes that must be read and written: each once."""
        width = {"uint8": 1, "float32": 4}
        images = self.pixels.size * sum(width[dtype] for dtype in case.dtypes.split(" to "))
        return images + (2 * self.masks.nbytes if self.with_masks else 0)


def normalised(pixels: np.ndarray) -> np.ndarray:
    """Pixels as float32 of mean 0 and deviation 1 a channel."""
    return pixels.astype(np.float32) * SCALE + OFFSET


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Class ids as float32 rows."""
    return np.eye(classes, dtype=np.float32)[labels]


def works(short: bool) -> list[Work]:
    """The batches A, B and C; in short, smaller and hardly more than once."""
    cases = tuple(Case(method, dtypes) for dtypes in ("uint8 to float32", "float32 to float32") for method in RECIPES)
    masked = tuple(Case("CutMix", dtypes) for dtypes in ("uint8 to uint8", "float32 to float32"))
    if short:
        return [
            Work("A", 32, (32, 32), 10, cases, Pace(1, 3, head=1)),
            Work("B", 4, (64, 64), 100, cases, Pace(1)),
            Work("C", 2, (64, 64), 21, masked, Pace(1), with_masks=True),
        ]
    return [
        Work("A", 128, (32, 32), 10, cases, Pace(15, 30, head=2)),
        Work("B", 64, (224, 224), 1000, cases, Pace(15)),
        Work("C", 8, (512, 512), 21, masked, Pace(45), with_masks=True),
    ]


@dataclass(frozen=True)
class Pipelines:
    """What the pipelines read: a dataset like CIFAR-10 in memory, uint8 (n, 32, 32, 3), and how long each runs."""

    rows: int
    batch_size: int
    runs: int
    seconds: float
    classes: int = 10

    @cached_property
    def x(self) -> np.ndarray:
        """The images."""
        return np.random.default_rng(4).integers(0, 256, (self.rows, 32, 32, 3), np.uint8)

    @cached_property
    def y(self) -> np.ndarray:
        """Class ids, int64 (n,)."""
        return np.random.default_rng(5).integers(0, self.classes, self.rows)

    @property
    def nbytes(self) -> int:
        """The bytes that a batch must read and write."""
        return self.batch_size * self.x[0].size * 5


def pipelines(short: bool) -> Pipelines:
    """The dataset of the pipelines."""
    return Pipelines(1024, 64, 1, 0.1) if short else Pipelines(50_000, 128, 4, 0.5)
