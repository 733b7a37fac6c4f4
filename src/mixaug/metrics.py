"""Accuracies for mixed and unmixed labels.

`ma.keras.MixedAccuracy` and `ma.keras.HeaviestAccuracy` are the counterparts for Keras' `compile`.
"""

from __future__ import annotations

import math

from . import backends
from .backends import Array, Library
from .losses import are_ids, check_weights, library


@backends.no_autograph
def mixed_accuracy(logits: Array, labels: Array) -> Array:
    """Return the weight of the predicted class in the mixed label.

        accuracy = labels[argmax logits]

    Without mixing it is the accuracy; with mixing its maximum is the mean of the greatest weights.

    Args:
        logits: (..., classes) floats, or probabilities.
        labels: (..., classes), a weight for each class; or class ids, (...) or (..., 1) of any integer dtype, as in
            evaluation.

    Returns:
        (...) float32; float64 for float64 labels.

    Raises:
        TypeError: if logits are not floats, labels are not numbers, or the libraries differ.
        ValueError: if the shapes do not match.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> logits, labels = np.float32([[-1, 2], [3, 0]]), np.float32([[0.75, 0.25], [1, 0]])
        >>> ma.metrics.mixed_accuracy(logits, labels), ma.metrics.mixed_accuracy(logits, np.array([1, 1]))
        (array([0.25, 1.  ], dtype=float32), array([1., 0.], dtype=float32))
    """
    xp = library(logits, labels)
    return _predicted(xp, logits, _weights(xp, logits, labels))


@backends.no_autograph
def heaviest_accuracy(logits: Array, labels: Array) -> Array:
    """Return whether the predicted class is the one with the greatest weight in the mixed label.

        accuracy = labels[argmax logits] == max(labels) > 0

    If several classes have the greatest weight, each of them is correct.

    Args:
        logits: (..., classes) floats, or probabilities.
        labels: (..., classes), a weight for each class; or class ids, (...) or (..., 1) of any integer dtype.

    Returns:
        (...) float32, zeros and ones.

    Raises:
        TypeError: if logits are not floats, labels are not numbers, or the libraries differ.
        ValueError: if the shapes do not match.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> logits, labels = np.float32([[-1, 2], [3, 0]]), np.float32([[0.75, 0.25], [1, 0]])
        >>> ma.metrics.heaviest_accuracy(logits, labels), ma.metrics.heaviest_accuracy(logits, np.array([1, 1]))
        (array([0., 1.], dtype=float32), array([1., 0.], dtype=float32))
    """
    xp = library(logits, labels)
    weights = _weights(xp, logits, labels)
    heaviest = xp.highest(weights)[..., 0]
    return xp.cast((_predicted(xp, logits, weights) == heaviest) & (heaviest > 0), "float32")


class AccuracyMeter:
    """Accumulate both accuracies over batches, for custom training loops.

        mixed_accuracy = mean of mixed_accuracy(logits, labels);  accuracy = mean of heaviest_accuracy(logits, labels)

    The sums remain on the device of the logits, without synchronization before `compute`. Call `update` outside
    compiled functions, with the logits that they return.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> metric = ma.metrics.AccuracyMeter()
        >>> metric.update(np.float32([[-1, 2], [3, 0]]), np.float32([[0.75, 0.25], [1, 0]]))
        >>> metric.update(np.float32([[0, 1], [0, 1]]), np.array([1, 1]))
        >>> metric.compute()
        {'mixed_accuracy': 0.8125, 'accuracy': 0.75}
    """

    def __init__(self) -> None:
        self._sums: tuple[Array, Array] | None = None
        self._rows = 0

    def update(self, logits: Array, labels: Array) -> None:
        """Add a batch; logits and labels are as for `mixed_accuracy`, all on the same device."""
        mixed, heaviest = mixed_accuracy(logits, labels), heaviest_accuracy(logits, labels)
        xp = backends.same({"logits": logits, **({"the previous batches": self._sums[0]} if self._sums else {})})
        sums = _sum(xp, mixed), _sum(xp, heaviest)
        self._sums = (self._sums[0] + sums[0], self._sums[1] + sums[1]) if self._sums else sums
        self._rows += math.prod(xp.shape(mixed))

    def compute(self) -> dict[str, float]:
        """Return the means over all batches: mixed_accuracy and accuracy.

        Raises:
            RuntimeError: if there were no batches.
            TypeError: if `update` was called inside a compiled function.
        """
        if not self._sums or not self._rows:
            raise RuntimeError("AccuracyMeter: expected at least one row, got none; call update(logits, labels) first")
        try:
            mixed, heaviest = (float(total) / self._rows for total in self._sums)
        except TypeError as error:
            raise TypeError(
                "AccuracyMeter: expected concrete values, got traced ones from an update inside a compiled function; "
                "return the logits from it and call update outside"
            ) from error
        return {"mixed_accuracy": mixed, "accuracy": heaviest}

    def reset(self) -> None:
        """Discard all batches, such as before a new epoch."""
        self._sums, self._rows = None, 0


def _weights(xp: Library, logits: Array, labels: Array) -> Array:
    """Convert labels to a weight for each class, float32 or float64 (..., classes)."""
    if are_ids(xp, logits, labels):
        ids = labels if len(labels.shape) < len(logits.shape) else labels[..., 0]
        return xp.cast(_one_hot(xp, logits, ids), "float32")
    check_weights(xp, logits, labels)
    return xp.cast(labels, "float64" if xp.dtype(labels) == "float64" else "float32")


def _predicted(xp: Library, logits: Array, weights: Array) -> Array:
    """Return the weight of the predicted class, (...)."""
    zero = xp.full((), 0, xp.dtype(weights))
    return xp.summed(xp.where(_one_hot(xp, logits, xp.argmax(logits)), weights, zero))


def _one_hot(xp: Library, logits: Array, ids: Array) -> Array:
    """Return one-hot ids with as many classes as the logits, bool (..., classes)."""
    return xp.cast(ids, "int64")[..., None] == xp.cast(xp.arange(xp.shape(logits)[-1]), "int64")


def _sum(xp: Library, x: Array) -> Array:
    """Return the sum over all elements, in the highest precision of the library."""
    return xp.cast(xp.total(xp.reshape(x, (-1,)), (0,)), "float64")
