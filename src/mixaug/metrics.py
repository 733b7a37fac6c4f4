"""Metrics: how often a network is right, where labels are mixed and where they are not.

`ma.keras.MixedAccuracy` and `ma.keras.HeaviestAccuracy` are the same for Keras' `compile`.
"""

from __future__ import annotations

import math

from . import backends
from .backends import Array, Library
from .losses import are_ids, check_weights, library


@backends.no_autograph
def mixed_accuracy(logits: Array, labels: Array) -> Array:
    """The share, in the mixed label, of the class that the network predicts.

        accuracy = labels[argmax logits]

    It is what accuracy is without mixing, and the most that can be reached is the mean of the heaviest shares.

    Args:
        logits: (..., classes) floats, or probabilities.
        labels: (..., classes), a weight a class, or class ids (...) or (..., 1) of any integer dtype, whose class has
            weight 1: evaluation has those.

    Returns:
        (...), float32; float64 for float64 labels.

    Raises:
        TypeError: logits that are no floats, labels that are no numbers, or two libraries. ValueError: another shape.

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
    """Whether the class that the network predicts is the heaviest of the mixed label: plain accuracy.

        accuracy = labels[argmax logits] == max(labels) > 0

    Of several heaviest classes each is right: none is preferred by its number.

    Args:
        logits: (..., classes) floats, or probabilities.
        labels: (..., classes), a weight a class, or class ids (...) or (..., 1) of any integer dtype.

    Returns:
        (...) float32 of zeros and ones.

    Raises:
        TypeError: logits that are no floats, labels that are no numbers, or two libraries. ValueError: another shape.

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


class MixedAccuracy:
    """Both accuracies over many batches, for a loop of your own.

        mixed_accuracy = mean of mixed_accuracy(logits, labels);  accuracy = mean of heaviest_accuracy(logits, labels)

    The sums stay where the logits are: nothing waits for a device before `compute`. Call `update` outside of what is
    compiled, with the logits that come out of it.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> metric = ma.metrics.MixedAccuracy()
        >>> metric.update(np.float32([[-1, 2], [3, 0]]), np.float32([[0.75, 0.25], [1, 0]]))
        >>> metric.update(np.float32([[0, 1], [0, 1]]), np.array([1, 1]))
        >>> metric.compute()
        {'mixed_accuracy': 0.8125, 'accuracy': 0.75}
    """

    def __init__(self) -> None:
        self._sums: tuple[Array, Array] | None = None
        self._rows = 0

    def update(self, logits: Array, labels: Array) -> None:
        """Count a batch; logits and labels as for `mixed_accuracy`, all of one library and device."""
        mixed, heaviest = mixed_accuracy(logits, labels), heaviest_accuracy(logits, labels)
        xp = backends.same({"logits": logits, **({"the sums so far": self._sums[0]} if self._sums else {})})
        sums = _sum(xp, mixed), _sum(xp, heaviest)
        self._sums = (self._sums[0] + sums[0], self._sums[1] + sums[1]) if self._sums else sums
        self._rows += math.prod(xp.shape(mixed))

    def compute(self) -> dict[str, float]:
        """The means so far: mixed_accuracy and accuracy.

        Raises:
            RuntimeError: no rows were counted. TypeError: they were counted inside a compiled function.
        """
        if not self._sums or not self._rows:
            raise RuntimeError("MixedAccuracy: expected rows to take a mean of, got none; call update(logits, labels)")
        try:
            mixed, heaviest = (float(total) / self._rows for total in self._sums)
        except TypeError as error:
            raise TypeError(
                "MixedAccuracy: expected numbers, got an update inside a compiled function; "
                "return the logits from it and call update outside"
            ) from error
        return {"mixed_accuracy": mixed, "accuracy": heaviest}

    def reset(self) -> None:
        """Forget what was counted, as for a new epoch."""
        self._sums, self._rows = None, 0


def _weights(xp: Library, logits: Array, labels: Array) -> Array:
    """Labels as a weight a class, float32 or float64 (..., classes)."""
    if are_ids(xp, logits, labels):
        ids = labels if len(labels.shape) < len(logits.shape) else labels[..., 0]
        return xp.cast(_hot(xp, logits, ids), "float32")
    check_weights(xp, logits, labels)
    return xp.cast(labels, "float64" if xp.dtype(labels) == "float64" else "float32")


def _predicted(xp: Library, logits: Array, weights: Array) -> Array:
    """The weight of the class that is predicted (...)."""
    zero = xp.full((), 0, xp.dtype(weights))
    return xp.summed(xp.where(_hot(xp, logits, xp.argmax(logits)), weights, zero))


def _hot(xp: Library, logits: Array, ids: Array) -> Array:
    """One-hot ids, bool (..., classes) of as many classes as the logits have."""
    return xp.cast(ids, "int64")[..., None] == xp.cast(xp.arange(xp.shape(logits)[-1]), "int64")


def _sum(xp: Library, x: Array) -> Array:
    """The sum of all, rounded as little as the library can."""
    return xp.cast(xp.total(xp.reshape(x, (-1,)), (0,)), "float64")
