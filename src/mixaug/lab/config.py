"""The configuration of a comparison: a frozen value that reproduces the run, stored as JSON."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..recipes import Entry, Recipe, identity
from ..recipes import recipe as read_recipe
from ..recipes import recipes as list_recipes
from .augment import AUGMENTATIONS
from .beyond import BEYOND
from .dataset import TASKS
from .errors import LabError, unknown

_RATES = {"adam": 1e-3, "sgd": 0.1}
_SCHEDULES = ("cosine", "constant", "steps")
_PARTNERS = ("batch", "dataset")
_PREFIX = re.compile(r"\s*([a-z+\s-]+?)\s*:(.*)", re.DOTALL)  # the augmentation in an arm's text
_AUGMENTED = f"of {', '.join(AUGMENTATIONS)}, each at most once"


def usable_threads() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Arm:
    """One arm of a comparison: an augmentation and a recipe.

    Args:
        name: the text of the arm.
        augment: the augmentations of each image, in the order of application.
        recipe: the recipe that mixes the augmented images.
    """

    name: str
    augment: tuple[str, ...]
    recipe: Recipe


@dataclass(frozen=True)
class Config:
    """The arms, data and training of a comparison. Fields are checked on construction.

    Args:
        task: "classification", "segmentation" or "image2image". The defaults here are those of classification; those of
            other tasks are in `TASKS[task].defaults` of `mixaug.lab.tasks`.
        data: the dataset, as in `mixaug.lab.data.load`.
        classes: the names of the mask ids; None: those of the dataset.
        ignore_index: the id of mask pixels to ignore; None: ignore none.
        train_size: the number of training images; None: all.
        test_size: the number of test images; None: all.
        test_data: data of the same kind to use as the test split; None: split `data`.
        split_seed: the seed that selects images and splits data without a test split.
        skip_damaged: whether to skip unreadable files.
        class_weights: "balanced" to weight each class in the loss inversely to its number of training images; None:
            equal weights.
        image_size: side of the images in pixels; None: do not resize.
        arms: the distinct arms to compare, as `read_arm` reads them.
        partners: where the partners of a sample come from: its "batch" or the whole "dataset".
        model: the network, as in `mixaug.lab.networks.build`.
        weights: its initial weights, as in `mixaug.lab.networks.build`.
        head_epochs: the number of initial epochs that train only the last layer, at `learning_rate`; less than
            `epochs`.
        fine_tune_rate: the learning rate after the head epochs; None: a tenth of `learning_rate`.
        optimizer: "adam", or "sgd" (Nesterov if momentum > 0).
        momentum: the momentum of sgd; None: 0.9.
        learning_rate: the peak learning rate; None: 0.001 for adam, 0.1 for sgd.
        weight_decay: decoupled weight decay (kernels only), scaled by the learning rate.
        schedule: "cosine": decay to 0 at the last step; "constant"; or "steps" (without warm-up): multiply by 0.1,
            0.01, 0.001 and 0.0005 in the epochs, counted from 0, above 40, 60, 80 and 90 % of their number, as in
            Keras' CIFAR-10 example. The rate is constant in head epochs, and the schedule starts after them.
        warmup: the number of epochs of linear warm-up from 0, after the head epochs.
        augment: the augmentation of arms that do not name one, as in `mixaug.lab.augment.augment`.
        threads: the number of threads of the network's operations; it changes sums in their last bits.
        measures: additional measures after the last epoch: names in `mixaug.lab.beyond.BEYOND`.
        seeds: distinct seeds; each arm is trained once per seed.
        epochs: the number of epochs.
        batch_size: rows per batch.

    Raises:
        LabError: if a field is invalid.

    Example:
        >>> config = Config(arms=("none", "cutmix"), seeds=(0, 1))
        >>> Config.from_json(config.to_json()) == config
        True
        >>> [arm.recipe for arm in config.read_arms()]
        [identity(), CutMix(alpha=1.0)]
    """

    task: str = "classification"
    data: str = "fashion-mnist-sample"
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    test_data: str | None = None
    split_seed: int = 0
    skip_damaged: bool = False
    class_weights: str | None = None
    image_size: int | None = None
    arms: tuple[str, ...] = ("none", "mixup(alpha=0.2)", "cutmix(alpha=1.0)")
    partners: str = "batch"
    model: str = "resnet20"
    weights: str = "random"
    head_epochs: int = 0
    fine_tune_rate: float | None = None
    optimizer: str = "adam"
    momentum: float | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: float = 1.0
    augment: tuple[str, ...] = ()
    threads: int = field(default_factory=usable_threads)
    measures: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    epochs: int = 15
    batch_size: int = 64

    def __post_init__(self) -> None:
        self._expect(self.task in TASKS, "task", " or ".join(TASKS))
        self._expect(self.classes is None or _names(self.classes), "classes", "one or more different names")
        ignored = self.ignore_index is None or _whole(self.ignore_index, 0, 256)
        self._expect(ignored, "ignore_index", "a whole number of 0..255")
        for name in ("data", "model", "weights"):
            self._expect(_name(getattr(self, name)), name, "a name")
        self._expect(self.data != "photos", "data", "images to train on (photos are four, for mixaug preview)")
        for name in ("epochs", "batch_size", "threads"):
            self._expect(_whole(getattr(self, name), 1), name, "a whole number above 0")
        self._expect(self.test_data is None or _name(self.test_data), "test_data", "a name")
        self._expect(_whole(self.split_seed, 0, 2**32), "split_seed", "a whole number of 0..2^32-1")
        self._expect(isinstance(self.skip_damaged, bool), "skip_damaged", "true or false")
        self._expect(self.class_weights in (None, "balanced"), "class_weights", "balanced")
        for name in ("train_size", "test_size", "image_size"):
            self._expect(getattr(self, name) is None or _whole(getattr(self, name), 1), name, "a whole number above 0")
        self._expect(self.optimizer in tuple(_RATES), "optimizer", " or ".join(_RATES))
        self._expect(self.schedule in _SCHEDULES, "schedule", " or ".join(_SCHEDULES))
        self._expect(_number(self.highest_rate) and self.highest_rate, "learning_rate", "a number above 0")
        self._expect(_number(self.weight_decay), "weight_decay", "a number of 0 or more")
        self._check_phases()
        self._expect(self.partners in _PARTNERS, "partners", " or ".join(_PARTNERS))
        momentum = self.momentum is None or (_number(self.momentum) and self.momentum < 1 and self.optimizer == "sgd")
        self._expect(momentum, "momentum", "a number of 0 to below 1 with --optimizer sgd, else left out")
        self._expect(
            _distinct(self.augment) and all(a in tuple(AUGMENTATIONS) for a in self.augment), "augment", _AUGMENTED
        )
        measured = _distinct(self.measures) and all(name in tuple(BEYOND) for name in self.measures)
        self._expect(measured, "measures", f"of {', '.join(BEYOND)}, each at most once")
        fits = not self.measures or self.task == "classification"
        self._expect(fits, "measures", f"left out with --task {self.task}")
        seeds = self.seeds and _distinct(self.seeds) and all(_whole(seed, 0, 2**32) for seed in self.seeds)
        self._expect(seeds, "seeds", "one or more different whole numbers of 0..2^32-1")
        self._expect(self.arms and _distinct(self.arms), "arms", "one or more different texts")
        different = _distinct(tuple((arm.augment, repr(arm.recipe)) for arm in self.read_arms()))
        self._expect(different, "arms", "different in their recipes or their augmentation")

    def _check_phases(self) -> None:
        """Check the epochs and learning rates."""
        self._expect(_whole(self.head_epochs, 0, self.epochs), "head_epochs", "a whole number below --epochs")
        rate = self.fine_tune_rate
        tuned = rate is None or (_number(rate) and rate > 0 and self.head_epochs > 0)
        self._expect(tuned, "fine_tune_rate", "a number above 0 with --head-epochs, else left out")
        rest = self.epochs - self.head_epochs
        after = " less --head-epochs" if self.head_epochs else ""
        warmed = _number(self.warmup) and self.warmup <= rest
        self._expect(warmed, "warmup", f"a number of epochs, at most --epochs{after}")
        self._expect(not (self.warmup and self.schedule == "steps"), "warmup", "0 with --schedule steps")

    def _expect(self, ok: object, name: str, expected: str) -> None:
        if not ok:
            raise LabError(f"expected {option(name)} to be {expected}, got {getattr(self, name)!r}")

    def read_arms(self) -> tuple[Arm, ...]:
        """Return the arms, in the order of `arms`."""
        return tuple(read_arm(arm, self.augment) for arm in self.arms)

    @property
    def reading(self) -> dict[str, Any]:
        """Return the options for `mixaug.lab.data.load`."""
        same = ("task", "train_size", "test_size", "test_data", "image_size", "classes", "ignore_index", "skip_damaged")
        return {**{name: getattr(self, name) for name in same}, "seed": self.split_seed}

    @property
    def highest_rate(self) -> float:
        """The learning rate after the warm-up; with head epochs, that of the head."""
        return _RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    @property
    def tuned_rate(self) -> float:
        """The peak learning rate after the head epochs."""
        if not self.head_epochs:
            return self.highest_rate
        return self.highest_rate / 10 if self.fine_tune_rate is None else self.fine_tune_rate

    def to_json(self) -> str:
        """Return the fields as a JSON object."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Return the configuration that `to_json` wrote.

        Raises:
            LabError: if the text is not a JSON object with exactly these fields, or a field is invalid.
        """
        try:
            found = json.loads(text)
        except ValueError as error:
            raise LabError(f"expected a configuration in JSON, got text that is none ({error})") from error
        known = [field.name for field in fields(cls)]
        if not isinstance(found, dict) or set(found) != set(known):
            came = ", ".join(found) if isinstance(found, dict) else type(found).__name__
            raise LabError(f"expected a configuration with {', '.join(known)}, got {came or 'nothing'}")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
        return cls(**values)

    @classmethod
    def read(cls, folder: Path) -> Config:
        """Return the configuration of a run folder.

        Raises:
            LabError: if it is missing or damaged.
        """
        path = folder / "config.json"
        if not path.is_file():
            raise LabError(f"expected a run folder, got {folder}, which has no config.json: name one that --out made")
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LabError(f"{path} cannot be used ({error}): restore it, or start anew with another --out") from error

    def difference(self, other: Config) -> str | None:
        """Return the name of the first field that differs from another configuration, or None."""
        names = (field.name for field in fields(self))
        return next((name for name in names if getattr(self, name) != getattr(other, name)), None)


def option(name: str) -> str:
    """Return the command-line option of a field; fields with several values have plural names.

    >>> option("batch_size")
    '--batch-size'
    """
    return f"--{name.replace('_', '-')}"


def read_arm(text: str, augment: Sequence[str] = ()) -> Arm:
    """Parse an arm: "none" or a recipe for `ma.recipe`, optionally after an augmentation and a colon.

    Args:
        text: for example "cutmix(alpha=1.0)", "flip+brightness: cutmix", "flip+brightness:" (augmentation only) or
            "none: cutmix" (a recipe without augmentation).
        augment: the augmentation of an arm that does not name one.

    Raises:
        LabError: if the recipe or an augmentation is unknown, or one is named twice.

    >>> read_arm("flip+crop: cutmix"), read_arm("none", ["flip"])
    (Arm(name='flip+crop: cutmix', augment=('flip', 'crop'), recipe=CutMix(alpha=1.0)), \
Arm(name='none', augment=('flip',), recipe=identity()))
    """
    found = _PREFIX.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return Arm(text, tuple(augment), read_mixing(text))
    prefix, rest = found.groups()
    names = () if prefix == "none" else tuple(name.strip() for name in prefix.split("+"))
    wrong = next((name for name in names if name not in AUGMENTATIONS), None)
    if wrong is not None:
        raise unknown("an augmentation before the colon of --arm", wrong, ["none", *AUGMENTATIONS])
    if not _distinct(names):
        raise LabError(f"expected --arm {text!r} to name each augmentation once, got {prefix}: leave one out")
    return Arm(text, names, read_mixing(rest.strip() or "none"))


def read_mixing(text: str) -> Recipe:
    """Parse "none", or a recipe for `ma.recipe`.

    Raises:
        LabError: if the text is neither.

    >>> read_mixing("none"), read_mixing("cutmix")
    (identity(), CutMix(alpha=1.0))
    """
    if text == "none":
        return identity()
    try:
        return read_recipe(text)
    except (TypeError, ValueError) as error:
        raise LabError(f'expected "none" or a recipe, got {text!r}: {error}') from error


def listed() -> tuple[Entry, ...]:
    """Return all recipes.

    Raises:
        LabError: if a recipe of another distribution cannot be loaded.

    >>> listed()[1].name
    'CutMix'
    """
    try:
        return list_recipes()
    except ValueError as error:
        raise LabError(str(error)) from error


def _whole(value: object, low: int, end: float = math.inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < end


def _number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0  # type: ignore[arg-type, operator]


def _name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _names(values: object) -> bool:
    return bool(values) and _distinct(values) and all(isinstance(value, str) and value for value in values)  # type: ignore[attr-defined]


def _distinct(values: object) -> bool:
    return isinstance(values, tuple) and len(set(map(repr, values))) == len(values)
