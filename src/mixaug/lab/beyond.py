"""Measures of a trained classifier other than its accuracy, taken after the last epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from . import metrics
from .corruptions import STRENGTHS, corrupted, with_hole
from .dataset import Data, Split, generator
from .measures import Measure

if TYPE_CHECKING:
    import keras

Pixels: TypeAlias = NDArray[np.uint8]
Logits: TypeAlias = NDArray[np.float32]

CORRUPTED = 1000  #: the maximum number of test images to corrupt and occlude
ATTACKED = 500  #: the maximum number of test images to attack
PGD_STEPS = 20
AT_ONCE = 50  #: the number of images per attacked batch
HOLES = (0.25, 0.5, 0.75)  #: sides of the holes as fractions of the image's sides
HOTTEST = 20.0


@dataclass(frozen=True)
class Trained:
    """A trained network and its test data.

    Args:
        model: the network, from pixels to logits.
        data: the dataset, for its test images.
        logits: the logits of all test images (n, classes).
    """

    model: keras.Model
    data: Data
    logits: Logits

    @property
    def labels(self) -> NDArray[np.int64]:
        """Return the class ids of all test images."""
        return self.data.test.targets

    def some(self, most: int) -> Split:
        """Return at most `most` test images, the same for every network."""
        count = len(self.data.test)
        return self.data.test if count <= most else self.data.test.take(np.sort(generator(0).permutation(count)[:most]))

    def accuracy(self, images: NDArray[Any], labels: NDArray[np.int64]) -> float:
        """Return the accuracy of the network on images."""
        return metrics.accuracy(self.model.predict(images, batch_size=256, verbose=0), labels)


@dataclass(frozen=True)
class Beyond:
    """One of the names that `--measure` accepts.

    Args:
        measures: the numbers it yields, each with its field.
        meaning: one sentence that explains them.
        compute: a function of a trained network that returns the numbers by field.
    """

    measures: tuple[Measure, ...]
    meaning: str
    compute: Callable[[Trained], dict[str, float]]


def measured(names: tuple[str, ...], trained: Trained) -> dict[str, float]:
    """Return the numbers of the given names, by field."""
    found: dict[str, float] = {}
    for name in names:
        found |= BEYOND[name].compute(trained)
    return found


def measures(names: tuple[str, ...]) -> tuple[Measure, ...]:
    """Return the measures of the given names."""
    return tuple(measure for name in names for measure in BEYOND[name].measures)


def passes(names: tuple[str, ...], count: int) -> tuple[int, int]:
    """Return the number of images in forward passes, and in passes forward and backward, for the given names.

    Args:
        names: names in `BEYOND`.
        count: the number of test images.

    >>> passes(("occlusion", "attacks"), 10)
    (50, 210)
    """
    each = {
        "corruptions": (5 * len(STRENGTHS) * min(count, CORRUPTED), 0),
        "occlusion": (len(HOLES) * min(count, CORRUPTED), 0),
        "attacks": (2 * min(count, ATTACKED), (1 + PGD_STEPS) * min(count, ATTACKED)),
    }
    found = [each.get(name, (0, 0)) for name in names]
    return sum(forward for forward, _ in found), sum(backward for _, backward in found)


def _calibration(trained: Trained) -> dict[str, float]:
    """Return the calibration of the test images; each half uses the temperature fitted to the other half."""
    halves = np.arange(len(trained.labels)) % 2  # alternate rows, as the test images may be sorted by class
    cooled, temperatures = np.empty(trained.logits.shape), []
    for half in (0, 1):
        fitted_on = halves != half
        temperatures.append(temperature(trained.logits[fitted_on], trained.labels[fitted_on]))
        cooled[halves == half] = trained.logits[halves == half] / temperatures[-1]
    return {
        "overconfidence": metrics.overconfidence(metrics.softmax(trained.logits), trained.labels),
        "temperature": float(np.mean(temperatures)),
        "cooled_overconfidence": metrics.overconfidence(metrics.softmax(cooled), trained.labels),
        "cooled_ece": metrics.calibration_error(metrics.softmax(cooled), trained.labels),
    }


def temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Return the temperature T in 1/20 .. 20 that minimizes the cross-entropy of logits / T.

    >>> logits = np.array([[4.0, 0.0]] * 10)
    >>> round(temperature(logits, np.array([0] * 9 + [1])), 2)  # right nine times of ten: log(9) instead of 4
    1.82

    Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """

    def loss(log_t: float) -> float:
        return metrics.log_loss(logits / np.exp(log_t), labels)

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(HOTTEST), np.log(HOTTEST)), method="bounded").x))


def _brier(trained: Trained) -> dict[str, float]:
    return {"brier": brier(metrics.softmax(trained.logits), trained.labels)}


def brier(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Return the Brier score, 0 to 2: the mean over images of sum_c (p[c] - (c == label))^2.

    >>> round(brier(np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([0, 1])), 3)
    0.29
    """
    wanted = np.eye(probabilities.shape[-1])[labels]
    return float(np.square(probabilities - wanted).sum(axis=-1).mean())


def _corruptions(trained: Trained) -> dict[str, float]:
    part = trained.some(CORRUPTED)
    found = {}
    for kind in STRENGTHS:
        each = [trained.accuracy(corrupted(part.images, kind, s), part.targets) for s in range(1, 6)]
        found[f"accuracy_{kind}"] = float(np.mean(each))
    return {"accuracy_corrupted": float(np.mean(list(found.values()))), **found}


def _attacks(trained: Trained) -> dict[str, float]:
    from .attacks import fgsm, loss_gradient, pgd  # imported late, as it needs Keras

    part, gradient = trained.some(ATTACKED), loss_gradient(trained.model)
    right = {"accuracy_fgsm": 0.0, "accuracy_pgd": 0.0}
    for start in range(0, len(part), AT_ONCE):
        images, labels = part.images[start : start + AT_ONCE], part.targets[start : start + AT_ONCE]
        for field, attack in (("accuracy_fgsm", fgsm), ("accuracy_pgd", pgd)):
            attacked = attack(gradient, images.astype(np.float32), labels)
            right[field] += len(labels) * trained.accuracy(attacked, labels)
    return {field: count / len(part) for field, count in right.items()}


def _occlusion(trained: Trained) -> dict[str, float]:
    part = trained.some(CORRUPTED)
    each = [trained.accuracy(with_hole(part.images, hole), part.targets) for hole in HOLES]
    return {"accuracy_occluded": float(np.mean(each))}


def _accuracy(name: str, field: str) -> Measure:
    return Measure(name, "%", field, 100, 2, better=1)


BEYOND = {
    "calibration": Beyond(
        (
            Measure("Confidence minus accuracy", "points", "overconfidence", 100, 2),
            Measure("Temperature", "", "temperature", 1, 2),
            Measure("Confidence minus accuracy after temperature scaling", "points", "cooled_overconfidence", 100, 2),
            Measure("Calibration error after temperature scaling", "%", "cooled_ece", 100, 2, better=-1),
        ),
        "Confidence minus accuracy is above 0 where a network is too sure and below 0 where it is not sure enough, as "
        "after mixing; what is left after one temperature, fitted on the other half of the test images, cannot be "
        "mended by a single number.",
        _calibration,
    ),
    "brier": Beyond(
        (Measure("Brier score", "", "brier", 1, 4, better=-1),),
        "The Brier score is the squared distance of the probabilities from the truth: it is low for a network that is "
        "both right and as sure as it should be.",
        _brier,
    ),
    "corruptions": Beyond(
        (
            _accuracy("Accuracy on corrupted images", "accuracy_corrupted"),
            *(_accuracy(f"Accuracy under {kind}", f"accuracy_{kind}") for kind in STRENGTHS),
        ),
        "Accuracy on corrupted images is the mean over noise, blur, contrast, brightness and JPEG in five strengths, "
        f"on {CORRUPTED:,} test images at most: how well the network copes with images worse than the test's.",
        _corruptions,
    ),
    "attacks": Beyond(
        (_accuracy("Accuracy under FGSM", "accuracy_fgsm"), _accuracy("Accuracy under PGD", "accuracy_pgd")),
        "Each pixel is changed by up to 8 of 255 grey levels against the network, in one step (FGSM) or in 20 (PGD), "
        f"on {ATTACKED} test images at most: where only FGSM gets better, the network merely hides its gradient.",
        _attacks,
    ),
    "occlusion": Beyond(
        (_accuracy("Accuracy with a hole", "accuracy_occluded"),),
        "Accuracy with a hole is the mean over black boxes in the middle, of a quarter, a half and three quarters of "
        "each side: how much the network sees in what is left.",
        _occlusion,
    ),
}  #: the names that `--measure` accepts
