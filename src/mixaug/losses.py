"""Per-sample losses for soft labels, or for (targets, lam).

Reduce them with a mean. Losses of the frameworks that accept soft labels are equivalent: `torch.nn.CrossEntropyLoss()`,
`optax.softmax_cross_entropy`, `keras.losses.CategoricalCrossentropy(from_logits=True)`; for multi-label classification
`torch.nn.BCEWithLogitsLoss()`, `optax.sigmoid_binary_cross_entropy`,
`keras.losses.BinaryCrossentropy(from_logits=True)`. Keras' `fit` passes a single `y_true` to the loss: use mixed labels
there, and `mixed_criterion` in a custom `train_step` or training loop.
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
    """Compute the cross-entropy between mixed labels and logits.

        loss = -sum_c labels[c] * log_softmax(logits)[c]

    Args:
        logits: (..., classes) float16, bfloat16, float32 or float64. Classes are the last axis in PyTorch too: for
            pixels, pass `logits.movedim(1, -1)`.
        labels: (..., classes), a weight for each class, of any dtype. A row of zeros, such as an ignored pixel, has
            loss 0. A class of weight 0 contributes 0, even if its logit is -inf.

    Returns:
        (...) float32, computed in float32; float64 for float64 logits.

    Raises:
        TypeError: if logits are not floats, labels are not numbers, or the libraries differ.
        ValueError: if labels are class ids, or the shapes differ.

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
    log_p = xp.maximum(xp.log_softmax(xp.cast(logits, precision)), LOWEST[precision])  # finite, so that 0 * log_p is 0
    return xp.summed(xp.cast(labels, precision) * -log_p)


@backends.no_autograph
def binary_cross_entropy(logits: Array, labels: Array) -> Array:
    """Compute the mean over the classes of the binary cross-entropy, for multi-label classification.

        loss = mean_c(max(logits, 0) - logits * labels + log1p(exp(-|logits|)))

    Args:
        logits: (..., classes) float16, bfloat16, float32 or float64.
        labels: (..., classes), a weight in 0..1 for each class, of any dtype: mixed multi-hot labels.

    Returns:
        (...) float32, computed in float32; float64 for float64 logits.

    Raises:
        TypeError: if logits are not floats, labels are not numbers, or the libraries differ.
        ValueError: if labels are class ids, or the shapes differ.

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
    size = abs(x)
    positive = 0.5 * x + 0.5 * size  # max(x, 0) with derivative 1/2 at 0, for networks whose initial logits are 0
    return _mean(xp, positive - x * y + xp.log1p(xp.exp(-size)))


@backends.no_autograph
def mixed_criterion(loss: Callable[[Any, Array], Array], logits: Any, parts: Array, lam: Array) -> Array:
    """Compute the weighted sum of the losses of each source's labels, for losses that do not accept soft labels.

        output = sum_k lam[k] * loss(logits, parts[k])

    Args:
        loss: a function of logits and the labels of one source, (n, ...), that returns per-sample losses, (n, ...):
            pass `reduction="none"` (in Keras `reduction=None`).
        logits: the first argument of the loss, passed unchanged.
        parts: (k, n, ...), the labels of each source, in the form that the loss takes.
        lam: float32 (k, n). `mix.per_source(y)` and the field `ma.PerSource()` return (parts, lam).

    Returns:
        (n, ...) with the shape of the loss, float32; float64 for a float64 loss. For the cross-entropy of one-hot
        labels it equals the cross-entropy of mixed labels up to rounding, at k times the cost.

    Raises:
        TypeError: if the libraries differ.
        ValueError: if the shapes of parts and lam do not match, or the loss is already reduced.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> mix = ma.MixUp(alpha=1.0).draw(3, size=(4, 4), key=(0, 0))
        >>> y, logits = np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)
        >>> ma.losses.mixed_criterion(ma.losses.cross_entropy, logits, *mix.per_source(y)).round(4)
        array([1.0986, 1.0986, 1.0986], dtype=float32)

    Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features".
    """
    xp = backends.same({"per_source": parts, "lam": lam})
    _check_parts(xp, parts, lam)
    rows = [_checked_rows(loss(logits, parts[k]), lam) for k in range(parts.shape[0])]
    return values.weighted(xp, rows, lam, _precision(xp, rows[0]))


@backends.no_autograph
def smooth(labels: Array, smoothing: float, multi_label: bool = False) -> Array:
    """Apply label smoothing: spread part of each row's weight evenly over the classes.

        output = (1 - smoothing) * labels + smoothing * mean_c(labels)     (mean_c is 1 / classes if rows sum to 1)
        output = (1 - smoothing) * labels + smoothing / 2                  (multi_label)

    Args:
        labels: (..., classes), a weight for each class, of any dtype.
        smoothing: a number in [0, 1).
        multi_label: whether the classes are independent of each other.

    Returns:
        A new array with the shape of labels, float32; float64 for float64 labels. Without `multi_label`, the sum of
        each row is unchanged, so that rows of zeros are still ignored.

    Raises:
        TypeError: if labels are not numbers.
        ValueError: if labels are class ids, or `smoothing` is out of range.

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
    """Return the library of logits (..., classes) and labels; raises an error if it differs, or a dtype is wrong."""
    xp = backends.same({"logits": logits, "labels": labels})
    if xp.dtype(logits) not in FLOATS:
        raise TypeError(
            f"logits: expected {', '.join(FLOATS)}, got {xp.dtype(logits)}; pass the output of the network, with a "
            "value for each class"
        )
    if not xp.shape(logits):
        raise ValueError("logits: expected a value for each class, (..., classes), got a scalar; pass the whole batch")
    _check_numbers(xp, labels)
    return xp


def check_weights(xp: Library, logits: Array, labels: Array) -> None:
    """Refuse labels without a weight for each of the logits."""
    expected, shape = tuple(logits.shape), tuple(labels.shape)
    if are_ids(xp, logits, labels):
        raise ValueError(
            f"labels: expected a weight for each class, {expected} like the logits, got class ids {shape}; convert "
            "them with mix.labels(y, num_classes=), or use a loss for class ids, in mixed_criterion for mixed ones"
        )
    if not fits(expected, shape):
        raise ValueError(
            f"labels: expected a weight for each class, {expected} like the logits, got {shape}; "
            "move the classes to the last axis of both"
        )


def are_ids(xp: Library, logits: Array, labels: Array) -> bool:
    """Whether labels are integers, one for each row of the logits: (...) or (..., 1)."""
    rows, shape = tuple(logits.shape[:-1]), tuple(labels.shape)
    column = shape[-1:] == (1,) and logits.shape[-1] != 1
    return "int" in xp.dtype(labels) and (fits(rows, shape) or (column and fits(rows, shape[:-1])))


def fits(first: Sequence[int | None], second: Sequence[int | None]) -> bool:
    """Whether two shapes may be equal; None is a length that is unknown until run time."""
    return len(first) == len(second) and all(
        a == b or a is None or b is None for a, b in zip(first, second, strict=True)
    )


def _mean(xp: Library, x: Array) -> Array:
    """Return the mean over the classes, whose number may be unknown until run time."""
    return xp.summed(x) / xp.cast(xp.constant(xp.shape(x)[-1]), xp.dtype(x))


def _precision(xp: Library, x: Array) -> str:
    return "float64" if xp.dtype(x) == "float64" else "float32"


def _check_numbers(xp: Library, labels: Array) -> None:
    dtype = xp.dtype(labels)
    if dtype not in FLOATS and "int" not in dtype and dtype != "bool":
        raise TypeError(f"labels: expected integers, bools or {', '.join(FLOATS)}, got {dtype}; convert them first")


def check_smoothing(smoothing: Any) -> float:
    """Return the amount of label smoothing; raises ValueError if it is not a number in [0, 1)."""
    number = isinstance(smoothing, (int, float, np.integer, np.floating)) and not isinstance(smoothing, bool)
    if not number or not 0 <= smoothing < 1:
        raise ValueError(f"smoothing: expected a number from 0 to below 1, got {smoothing!r}; pass 0.1, the usual one")
    return float(smoothing)


def _check_columns(xp: Library, labels: Array, multi_label: bool) -> None:
    """Refuse labels without a column for each class, or that may be class ids."""
    shape = tuple(xp.shape(labels) and labels.shape)
    column = len(shape) == 1 or (shape[1:] == (1,) and not multi_label)
    if not shape or ("int" in xp.dtype(labels) and column):
        raise ValueError(
            f"labels: expected a weight for each class, (..., classes), got {xp.dtype(labels)} {shape}, which may be "
            "class ids; convert them with mix.labels(y, num_classes=)"
        )


def _check_parts(xp: Library, parts: Array, lam: Array) -> None:
    """Refuse shapes other than (k, n, ...) and (k, n) with a known k."""
    ranks = len(xp.shape(parts)), len(xp.shape(lam))
    if ranks[0] < 2 or ranks[1] != 2 or not fits(parts.shape[:2], lam.shape) or not parts.shape[0]:
        raise ValueError(
            "parts and lam: expected (k, n, ...) and (k, n), k known and at least 1, "
            f"got {tuple(parts.shape)} and {tuple(lam.shape)}; pass what mix.per_source(y) returns"
        )


def _checked_rows(rows: Array, lam: Array) -> Array:
    """Return per-sample losses; raises ValueError for a reduced loss."""
    xp = backends.same({"loss": rows, "lam": lam})
    if not xp.shape(rows) or not fits(rows.shape[:1], lam.shape[1:]):
        raise ValueError(
            f"loss: expected a value for each sample, {tuple(lam.shape[1:])}, got {tuple(rows.shape)}; pass "
            "reduction='none' to the loss, or None in Keras, as the mean of a batch cannot be weighted by sample"
        )
    return rows
