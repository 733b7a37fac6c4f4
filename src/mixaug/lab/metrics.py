"""How good a network is, and how sure one can be of it: pure functions of NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp, stdtrit
from scipy.special import softmax as _softmax

from .errors import LabError

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]


def softmax(logits: Floats) -> NDArray[np.float64]:
    """The probabilities of logits (n, classes): exp(z) / sum exp(z), in float64.

    >>> softmax(np.log([[1.0, 3.0]])).round(9)
    array([[0.25, 0.75]])
    """
    probabilities: NDArray[np.float64] = _softmax(np.asarray(logits, np.float64), axis=-1)
    return probabilities


def accuracy(scores: Floats, labels: Ids) -> float:
    """How often the class of the highest score is the label.

    Args:
        scores: logits or probabilities (n, classes).
        labels: class ids (n,).

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]]), np.array([0, 1, 0]))
    0.6666666666666666
    """
    return float(np.mean(scores.argmax(-1) == labels))


def log_loss(logits: Floats, labels: Ids) -> float:
    """The mean of -log softmax(logits)[label], from the logits, so that it stays finite.

    >>> round(log_loss(np.log([[0.25, 0.75]]), np.array([1])), 6)
    0.287682
    """
    wide = np.asarray(logits, np.float64)
    return float(np.mean(logsumexp(wide, axis=-1) - wide[np.arange(len(labels)), labels]))


def calibration_error(probabilities: Floats, labels: Ids, bins: int = 15) -> float:
    """The expected calibration error: how far confidence is from accuracy, over bins of equal width.

        sum_b n_b / n |confidence_b - accuracy_b|,  bin b: confidences in (b / bins, (b + 1) / bins]

    Args:
        probabilities: (n, classes).
        labels: class ids (n,).
        bins: how many.

    >>> round(calibration_error(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])), 6)
    0.15

    Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    confidence, surplus = _surplus(probabilities, labels)
    bin_of = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.int64)
    return float(np.abs(np.bincount(bin_of, surplus)).sum() / len(labels))


def overconfidence(probabilities: Floats, labels: Ids) -> float:
    """The mean confidence minus the accuracy: above 0 the network is too sure, below 0 not sure enough.

    >>> round(overconfidence(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])), 6)
    0.35
    """
    return float(_surplus(probabilities, labels)[1].mean())


def _surplus(probabilities: Floats, labels: Ids) -> tuple[Floats, Floats]:
    """Of each row the confidence, and that minus 1 where it is right."""
    confidence = probabilities.max(-1)
    return confidence, confidence - (probabilities.argmax(-1) == labels)


def confusion(labels: Ids, predicted: Ids, classes: int) -> NDArray[np.int64]:
    """How many rows of each class were taken for each: int64 (classes, classes), by label, then by prediction.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def most_confused(matrix: NDArray[np.int64], classes: Sequence[str], top: int) -> list[tuple[str, str, int]]:
    """The most frequent mistakes: (class, taken for, how often), at most `top`, those that never happen left out.

    >>> most_confused(np.array([[5, 2], [3, 9]]), ["coat", "shirt"], top=1)
    [('shirt', 'coat', 3)]
    """
    mistakes = matrix * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:top]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [(classes[i], classes[j], int(mistakes[i, j])) for i, j in pairs if mistakes[i, j]]


def interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The mean of several values, and half the width of its confidence interval by Student's t.

        half = t_{n-1}((1 + level) / 2) s / sqrt(n),  NaN for one value

    Args:
        values: one number or more.
        level: the chance with which such an interval holds the true mean, of normally distributed values.

    Raises:
        LabError: no values.

    >>> mean, half = interval([1.0, 2.0, 3.0])
    >>> round(mean, 3), round(half, 3)
    (2.0, 2.484)
    """
    array = np.asarray(values, np.float64)
    if not array.size:
        raise LabError("expected one value or more to take the mean of, got none: train at least one seed")
    if array.size == 1:
        return float(array[0]), math.nan
    quantile = stdtrit(array.size - 1, (1 + level) / 2)
    return float(array.mean()), float(quantile * array.std(ddof=1) / math.sqrt(array.size))


def paired(values: Sequence[float], baseline: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The mean of values - baseline, pair by pair (of the same seed), and half the width of its interval.

    What the seeds have in common drops out, so it is narrower than the difference of two means.

    Raises:
        LabError: not as many of one as of the other, or none.

    >>> paired([0.8, 0.9], [0.7, 0.8])[0].__round__(9)
    0.1
    """
    if len(values) != len(baseline):
        raise LabError(f"expected one value a seed on both sides, got {len(values)} and {len(baseline)}")
    return interval(np.subtract(values, baseline), level)
