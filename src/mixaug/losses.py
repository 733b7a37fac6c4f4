"""Losses: a value a row, from labels with a weight a class or from parts and their shares.

The caller takes the mean. Where a framework's own loss takes a weight a class it gives the same, and fits as well:
`torch.nn.CrossEntropyLoss()`, `optax.softmax_cross_entropy`, `keras.losses.CategoricalCrossentropy(from_logits=True)`;
for several classes at once `torch.nn.BCEWithLogitsLoss()`, `optax.sigmoid_binary_cross_entropy`,
`keras.losses.BinaryCrossentropy(from_logits=True)`. Keras' `fit` hands a loss one `y_true`: give it mixed labels, and
keep `mixed_criterion` for a `train_step` or a loop of your own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import backends
from .backends import Array, Library
from .ops import values
from .ops.labels import FLOATS

LOWEST = {name: float(np.finfo(name).min) for name in ("float32", "float64")}


@backends.no_autograph
def cross_entropy(logits: Array, labels: Array) -> Array:
    """The cross-entropy between mixed labels and what a network predicts.

        loss = -sum_c labels[c] * log_softmax(logits)[c]

    Args:
        logits: (..., classes) float16, bfloat16, float32 or float64. Classes are the last axis in PyTorch too: for
            pixels pass `logits.movedim(1, -1)`.
        labels: (..., classes), a weight a class, of any dtype. A row of zeros (a pixel to be ignored) gives 0, and a
            class of logit -inf costs nothing where its weight is 0.

    Returns:
        (...), float32, computed in float32; float64 for float64 logits.

    Raises:
        TypeError: logits that are no floats, labels that are no numbers, or two libraries.
        ValueError: class ids, or labels of another shape.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> logits, labels = np.log(np.float32([[1, 3], [1, 1]])), np.float32([[0.5, 0.5], [0, 0]])
        >>> ma.losses.cross_entropy(logits, labels).round(4)
        array([0.837, 0.   ], dtype=float32)

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization".
    """
    xp = library(logits, labels)
    check_weights(xp, logits, labels)
    precision = _precision(xp, logits)
    log_p = xp.maximum(xp.log_softmax(xp.cast(logits, precision)), LOWEST[precision])  # 0 times it is 0
    return xp.summed(xp.cast(labels, precision) * -log_p)


@backends.no_autograph
def binary_cross_entropy(logits: Array, labels: Array) -> Array:
    """The cross-entropy of each class by itself, where a sample may have several: the mean over the classes.

        loss = mean_c(max(logits, 0) - logits * labels + log1p(exp(-|logits|)))

    Args:
        logits: (..., classes) float16, bfloat16, float32 or float64.
        labels: (..., classes), how much each class is there, 0 to 1, of any dtype: mixed multi-hot labels.

    Returns:
        (...), float32, computed in float32; float64 for float64 logits.

    Raises:
        TypeError: logits that are no floats, labels that are no numbers, or two libraries.
        ValueError: class ids, or labels of another shape.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> logits, labels = np.float32([[0, 100], [0, 0]]), np.float32([[1, 1], [0.25, 0]])
        >>> ma.losses.binary_cross_entropy(logits, labels).round(4)
        array([0.3466, 0.6931], dtype=float32)
    """
    xp = library(logits, labels)
    check_weights(xp, logits, labels)
    precision = _precision(xp, logits)
    x, y = xp.cast(logits, precision), xp.cast(labels, precision)
    size = xp.absolute(x)
    positive = 0.5 * x + 0.5 * size  # max(x, 0), but its derivative at 0 is 1/2: a network that begins at 0 needs it
    return _mean(xp, positive - x * y + xp.log1p(xp.exp(-size)))


@backends.no_autograph
def mixed_criterion(loss: Callable[[Any, Array], Array], logits: Any, parts: Array, lam: Array) -> Array:
    """Any loss of whole labels, of each source's by its share: for one that cannot take a weight a class.

        output = sum_k lam[k] * loss(logits, parts[k])

    Args:
        loss: a function of logits and the labels of one source (n, ...) that gives a value a row, (n, ...): pass
            `reduction="none"` (in Keras `reduction=None`).
        logits: what the loss takes first; it is handed on as it is.
        parts: (k, n, ...), the labels of each source, of the form that the loss takes.
        lam: float32 (k, n). `mix.per_source(y)` gives both, and so does the field `ma.PerSource()`.

    Returns:
        (n, ...) of the shape of one loss, float32; float64 for a float64 loss. For the cross-entropy of one-hot labels
        it is that of the mixed labels, to rounding, at k times the work.

    Raises:
        TypeError: several libraries. ValueError: parts and shares that do not fit, or a loss that is a mean already.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> mix = ma.MixUp(alpha=1.0).draw(3, size=(4, 4), key=(0, 0))
        >>> y, logits = np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)
        >>> ma.losses.mixed_criterion(ma.losses.cross_entropy, logits, *mix.per_source(y)).round(4)
        array([1.0986, 1.0986, 1.0986], dtype=float32)

    Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", sums so.
    """
    xp = backends.same({"per_source": parts, "lam": lam})
    _check_parts(xp, parts, lam)
    rows = [_checked_rows(loss(logits, parts[k]), lam) for k in range(parts.shape[0])]
    return values.weighted(xp, rows, lam, _precision(xp, rows[0]))


@backends.no_autograph
def smooth(labels: Array, smoothing: float, multi_label: bool = False) -> Array:
    """Label smoothing: some of each row's weight spread evenly over the classes. For any loss that takes such labels.

        output = (1 - smoothing) * labels + smoothing * mean_c(labels)     (mean_c = 1 / classes where rows sum to 1)
        output = (1 - smoothing) * labels + smoothing / 2                  (multi_label)

    Args:
        labels: (..., classes), a weight a class, of any dtype.
        smoothing: 0 to below 1.
        multi_label: whether a sample may have several classes, each there or not by itself.

    Returns:
        A fresh array of the shape of labels, float32; float64 for float64 labels. The sum of a row stays (without
        `multi_label`), so that a row of zeros is ignored still.

    Raises:
        TypeError: labels that are no numbers. ValueError: class ids, or a smoothing out of range.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> ma.losses.smooth(np.float32([[0.75, 0.25, 0, 0], [0, 0, 0, 0]]), 0.2).round(2)
        array([[0.65, 0.25, 0.05, 0.05],
               [0.  , 0.  , 0.  , 0.  ]], dtype=float32)

    Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision".
    """
    xp = backends.of(labels, "labels")
    _check_numbers(xp, labels)
    _check_columns(xp, labels, multi_label)
    amount, y = check_smoothing(smoothing), xp.cast(labels, _precision(xp, labels))
    even = 0.5 if multi_label else _mean(xp, y)[..., None]
    return (1 - amount) * y + amount * even


def library(logits: Array, labels: Array) -> Library:
    """The one library of logits (..., classes) and labels; an error where they are not of one, or no such arrays."""
    xp = backends.same({"logits": logits, "labels": labels})
    if xp.dtype(logits) not in FLOATS:
        raise TypeError(
            f"logits: expected {', '.join(FLOATS)}, got {xp.dtype(logits)}; pass what the network gives, one a class"
        )
    if not xp.shape(logits):
        raise ValueError("logits: expected a value a class, (..., classes), got a single number; pass the whole batch")
    _check_numbers(xp, labels)
    return xp


def check_weights(xp: Library, logits: Array, labels: Array) -> None:
    """Refuse labels that have not a weight for each of the logits."""
    expected, came = tuple(logits.shape), tuple(labels.shape)
    if are_ids(xp, logits, labels):
        raise ValueError(
            f"labels: expected a weight a class, {expected} as the logits, got class ids {came}; make weights of them "
            "by mix.labels(y, num_classes=), or use a loss of class ids, with mixed_criterion where they are mixed"
        )
    if not fits(expected, came):
        raise ValueError(
            f"labels: expected a weight a class, {expected} as the logits, got {came}; "
            "the classes are the last axis of both"
        )


def are_ids(xp: Library, logits: Array, labels: Array) -> bool:
    """Whether labels are whole numbers, one a row of the logits: (...) or (..., 1)."""
    rows, shape = tuple(logits.shape[:-1]), tuple(labels.shape)
    column = shape[-1:] == (1,) and logits.shape[-1] != 1
    return "int" in xp.dtype(labels) and (fits(rows, shape) or (column and fits(rows, shape[:-1])))


def fits(one: Sequence[int | None], other: Sequence[int | None]) -> bool:
    """Whether two shapes may be the same; None is a length that is unknown until run time."""
    return len(one) == len(other) and all(a == b or a is None or b is None for a, b in zip(one, other, strict=True))


def _mean(xp: Library, x: Array) -> Array:
    """The mean over the classes, whose number may be unknown until run time."""
    return xp.summed(x) / xp.cast(xp.constant(xp.shape(x)[-1]), xp.dtype(x))


def _precision(xp: Library, x: Array) -> str:
    return "float64" if xp.dtype(x) == "float64" else "float32"


def _check_numbers(xp: Library, labels: Array) -> None:
    dtype = xp.dtype(labels)
    if dtype not in FLOATS and "int" not in dtype and dtype != "bool":
        raise TypeError(f"labels: expected integers, bools or {', '.join(FLOATS)}, got {dtype}; convert them first")


def check_smoothing(smoothing: Any) -> float:
    """The amount of label smoothing itself, if it is one."""
    number = isinstance(smoothing, (int, float, np.integer, np.floating)) and not isinstance(smoothing, bool)
    if not number or not 0 <= smoothing < 1:
        raise ValueError(f"smoothing: expected a number from 0 to below 1, got {smoothing!r}; 0.1 is usual")
    return float(smoothing)


def _check_columns(xp: Library, labels: Array, multi_label: bool) -> None:
    """Refuse labels without a column a class, or that may be class ids."""
    shape = tuple(xp.shape(labels) and labels.shape)
    column = len(shape) == 1 or (shape[1:] == (1,) and not multi_label)
    if not shape or ("int" in xp.dtype(labels) and column):
        raise ValueError(
            f"labels: expected a weight a class, (..., classes), got {xp.dtype(labels)} {shape}, which may be "
            "class ids; make weights of them by mix.labels(y, num_classes=)"
        )


def _check_parts(xp: Library, parts: Array, lam: Array) -> None:
    """Refuse what is not (k, n, ...) and (k, n) of a known k."""
    ranks = len(xp.shape(parts)), len(xp.shape(lam))
    if ranks[0] < 2 or ranks[1] != 2 or not fits(parts.shape[:2], lam.shape) or not parts.shape[0]:
        raise ValueError(
            "parts and share: expected (k, n, ...) and (k, n), k known and at least 1, "
            f"got {tuple(parts.shape)} and {tuple(lam.shape)}; mix.per_source(y) gives both"
        )


def _checked_rows(rows: Array, lam: Array) -> Array:
    """A loss that has a value for each row; an error for any other."""
    xp = backends.same({"loss": rows, "lam": lam})
    if not xp.shape(rows) or not fits(rows.shape[:1], lam.shape[1:]):
        raise ValueError(
            f"loss: expected a value a row, {tuple(lam.shape[1:])}, got {tuple(rows.shape)}; a mean of the batch "
            "cannot be shared out: pass reduction='none', or None in Keras"
        )
    return rows
