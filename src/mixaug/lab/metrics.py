"""Metrics of networks and their confidence intervals: pure functions of NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.special import logsumexp, stdtrit
from scipy.special import softmax as _softmax

from .errors import LabError

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.integer[Any]]
Pixels = NDArray[np.uint8]

TOLERANCE = 0.0075  #: the tolerance of a boundary, as a fraction of the image's diagonal
ROUNDING = 1 / 12  #: the mean squared error of rounding to integer grey levels
REACH = 5  #: half the size of the window of `ssim`, in pixels


def softmax(logits: Floats) -> NDArray[np.float64]:
    """Return the probabilities for logits (n, classes): exp(z) / sum exp(z), in float64.

    >>> softmax(np.log([[1.0, 3.0]])).round(9)
    array([[0.25, 0.75]])
    """
    probabilities: NDArray[np.float64] = _softmax(np.asarray(logits, np.float64), axis=-1)
    return probabilities


def accuracy(scores: Floats, labels: Ids) -> float:
    """Return the fraction of rows whose highest score is that of the label.

    Args:
        scores: logits or probabilities (n, classes).
        labels: class ids (n,).

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0]]), np.array([0, 1, 0]))
    0.6666666666666666
    """
    return float(np.mean(scores.argmax(-1) == labels))


def log_loss(logits: Floats, labels: Ids) -> float:
    """Return the mean of -log softmax(logits)[label], computed from the logits, so that it is always finite.

    >>> round(log_loss(np.log([[0.25, 0.75]]), np.array([1])), 6)
    0.287682
    """
    wide = np.asarray(logits, np.float64)
    return float(np.mean(logsumexp(wide, axis=-1) - wide[np.arange(len(labels)), labels]))


def calibration_error(probabilities: Floats, labels: Ids, bins: int = 15) -> float:
    """Return the expected calibration error: the gap between confidence and accuracy, over bins of equal width.

        sum_b n_b / n |confidence_b - accuracy_b|,  bin b: confidences in (b / bins, (b + 1) / bins]

    Args:
        probabilities: (n, classes).
        labels: class ids (n,).
        bins: the number of bins.

    >>> round(calibration_error(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])), 6)
    0.15

    Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    confidence, surplus = _surplus(probabilities, labels)
    bin_of = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(np.int64)
    return float(np.abs(np.bincount(bin_of, surplus)).sum() / len(labels))


def overconfidence(probabilities: Floats, labels: Ids) -> float:
    """Return the mean confidence minus the accuracy: > 0 if overconfident, < 0 if underconfident.

    >>> round(overconfidence(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])), 6)
    0.35
    """
    return float(_surplus(probabilities, labels)[1].mean())


def _surplus(probabilities: Floats, labels: Ids) -> tuple[Floats, Floats]:
    """Return for each row the confidence, and the confidence minus 1 if the prediction is right."""
    confidence = probabilities.max(-1)
    return confidence, confidence - (probabilities.argmax(-1) == labels)


def confusion(labels: Ids, predicted: Ids, classes: int) -> NDArray[np.int64]:
    """Return the confusion matrix, int64 (classes, classes): counts by label, then by prediction.

    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2)
    array([[1, 1],
           [0, 1]])
    """
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def most_confused(matrix: NDArray[np.int64], classes: Sequence[str], top: int) -> list[tuple[str, str, int]]:
    """Return at most `top` of the most frequent mistakes: (class, predicted class, count > 0).

    >>> most_confused(np.array([[5, 2], [3, 9]]), ["coat", "shirt"], top=1)
    [('shirt', 'coat', 3)]
    """
    mistakes = matrix * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:top]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [(classes[i], classes[j], int(mistakes[i, j])) for i, j in pairs if mistakes[i, j]]


def known(masks: Ids, ignore_index: int | None) -> NDArray[np.bool_]:
    """Return the pixels that are not ignored, bool with the shape of the masks.

    >>> known(np.array([0, 255, 1]), ignore_index=255)
    array([ True, False,  True])
    """
    return np.ones(masks.shape, np.bool_) if ignore_index is None else masks != ignore_index


def pixel_log_loss(logits: Floats, masks: Ids, ignore_index: int | None = None) -> NDArray[np.float64]:
    """Return for each image the sum over pixels of -log softmax(logits)[mask], without ignored pixels.

    Args:
        logits: (n, h, w, classes).
        masks: class ids (n, h, w).
        ignore_index: the id of pixels to ignore.

    Returns:
        float64 (n,).

    >>> pixel_log_loss(np.log([[[[0.25, 0.75], [0.5, 0.5]]]]), np.array([[[1, 9]]]), ignore_index=9).round(6)
    array([0.287682])
    """
    said = known(masks, ignore_index)
    ids = np.where(said, masks, 0).astype(np.int64)[..., None]
    below = logits - logits.max(axis=-1, keepdims=True)  # stays float32 to save memory
    loss = np.log(np.exp(below).sum(axis=-1)) - np.take_along_axis(below, ids, axis=-1)[..., 0]
    per_image: NDArray[np.float64] = np.where(said, loss, 0.0).sum(axis=(1, 2), dtype=np.float64)
    return per_image


def pixel_confusion(masks: Ids, predicted: Ids, classes: int, ignore_index: int | None = None) -> NDArray[np.int64]:
    """Return the confusion matrix of pixels, as `confusion` does, without ignored pixels.

    Args:
        masks: class ids, of any shape.
        predicted: class ids, of the same shape.
        classes: the number of classes.
        ignore_index: the id of mask pixels to ignore.

    >>> pixel_confusion(np.array([[0, 1, 9]]), np.array([[0, 0, 1]]), classes=2, ignore_index=9)
    array([[1, 0],
           [1, 0]])
    """
    said = known(masks, ignore_index)
    return confusion(masks[said].astype(np.int64), predicted[said].astype(np.int64), classes)


def pixel_accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the fraction of pixels whose class is right, from a confusion matrix.

    >>> pixel_accuracy(np.array([[2, 1], [1, 4]]))
    0.75
    """
    return float(np.trace(matrix) / matrix.sum())


def iou(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the intersection over union of each class, over the pixels of all images; NaN for absent classes.

        iou[c] = m[c, c] / (sum_j m[c, j] + sum_i m[i, c] - m[c, c])

    Args:
        matrix: m (classes, classes), by label, then by prediction.

    >>> iou(np.array([[2, 1, 0], [1, 4, 0], [0, 0, 0]])).round(3)
    array([0.5  , 0.667,   nan])

    Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge".
    """
    both = np.diag(matrix)
    either = matrix.sum(axis=0) + matrix.sum(axis=1) - both
    share: NDArray[np.float64] = np.divide(both, either, out=np.full(len(matrix), np.nan), where=either > 0)
    return share


def mean_iou(matrix: NDArray[np.int64]) -> float:
    """Return the mean of `iou` over the classes that occur as label or prediction.

    >>> round(mean_iou(np.array([[2, 1, 0], [1, 4, 0], [0, 0, 0]])), 3)
    0.583
    """
    return float(np.nanmean(iou(matrix)))


def boundary_f1(masks: Ids, predicted: Ids, classes: int, ignore_index: int | None = None) -> float:
    """Return how well predicted class boundaries match the true ones: F1 averaged over classes, then over images.

        P = fraction of the predicted boundary within t pixels of the true boundary,  R = the reverse
        F1 = 2 P R / (P + R),  t = max(1, 0.75 % of the diagonal)

    A pixel is on the boundary of its class if one of its four neighbours has another class. In each image, classes with
    a true or predicted boundary count; F1 is 0 if only one of them exists. Ignored pixels neither are boundary nor
    cause one.

    Args:
        masks: class ids (n, h, w).
        predicted: class ids (n, h, w).
        classes: the number of classes.
        ignore_index: the id of mask pixels to ignore.

    Returns:
        0..1; 1 if there is no boundary at all.

    >>> masks = np.repeat([[0, 0, 0, 0, 1, 1]], 4, axis=0)[None]
    >>> boundary_f1(masks, np.roll(masks, -1, axis=2), classes=2).__round__(3)
    0.833

    Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?".
    """
    said = known(masks, ignore_index)
    near = _disk(max(1.0, TOLERANCE * math.hypot(*masks.shape[1:])))
    score = np.full((classes, len(masks)), np.nan)
    for c in range(classes):
        rows = np.flatnonzero((said & ((masks == c) | (predicted == c))).any(axis=(1, 2)))
        true, found = (_boundary(ids[rows] == c, said[rows]) for ids in (masks, predicted))
        score[c, rows] = _f1(true, found, near)
    judged = score[:, ~np.isnan(score).all(axis=0)]
    return float(np.nanmean(judged, axis=0).mean()) if judged.size else 1.0


def _disk(radius: float) -> NDArray[np.bool_]:
    """Return the pixels within a radius of the centre, (1, 2 r + 1, 2 r + 1); the first axis keeps images apart."""
    offset = np.arange(-int(radius), int(radius) + 1)
    return np.hypot(offset[:, None], offset)[None] <= radius


def _boundary(inside: NDArray[np.bool_], said: NDArray[np.bool_]) -> NDArray[np.bool_]:
    boundary: NDArray[np.bool_] = inside & said & ndimage.binary_dilation(~inside & said, _disk(1))
    return boundary


def _f1(true: NDArray[np.bool_], found: NDArray[np.bool_], near: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return F1 for each image; NaN if there is neither a true nor a predicted boundary."""
    precision = _share(found, ndimage.binary_dilation(true, near))
    recall = _share(true, ndimage.binary_dilation(found, near))
    total = precision + recall
    score = np.divide(2 * precision * recall, total, out=np.zeros(len(true)), where=total > 0)
    return np.where((true | found).any(axis=(1, 2)), score, np.nan)


def _share(pixels: NDArray[np.bool_], hit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the fraction of the pixels of each image that are hit; 0 if there are no pixels."""
    share: NDArray[np.float64] = (pixels & hit).sum(axis=(1, 2)) / np.maximum(1, pixels.sum(axis=(1, 2)))
    return share


def grey_error(targets: Pixels, predicted: Pixels) -> float:
    """Return the mean absolute difference (L1), in grey levels of 0..255.

    Args:
        targets: uint8 (n, h, w, c).
        predicted: uint8 (n, h, w, c).

    >>> grey_error(np.uint8([[[[0], [250]]]]), np.uint8([[[[3], [249]]]]))
    2.0
    """
    return float(np.abs(targets.astype(np.int16) - predicted).mean())


def psnr(targets: Pixels, predicted: Pixels) -> float:
    """Return the peak signal-to-noise ratio in dB, averaged over images.

        10 log10(255^2 / max(mean squared error, 1/12))

    1/12 is the error of rounding to grey levels: an image without any error has 58.92 dB, so the mean stays finite.

    Args:
        targets: uint8 (n, h, w, c).
        predicted: uint8 (n, h, w, c).

    >>> round(psnr(np.uint8([[[[0], [255]]]]), np.uint8([[[[51], [204]]]])), 2)
    13.98
    """
    error = np.square(targets.astype(np.float64) - predicted).mean(axis=(1, 2, 3))
    return float(np.mean(10 * np.log10(255**2 / np.maximum(error, ROUNDING))))


def ssim(targets: Pixels, predicted: Pixels) -> float:
    """Return the structural similarity, averaged over windows, channels and images.

        ssim = (2 mx my + c1) (2 sxy + c2) / ((mx^2 + my^2 + c1) (sx^2 + sy^2 + c2))
        c1 = (0.01 * 255)^2,  c2 = (0.03 * 255)^2

    Means, variances and the covariance use a Gaussian window of 11x11 pixels with sigma 1.5, at every position inside
    the image; in images below 11 pixels, only at the centre, with mirrored pixels.

    Args:
        targets: uint8 (n, h, w, c).
        predicted: uint8 (n, h, w, c).

    Returns:
        -1..1; 1 for identical images.

    >>> images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    >>> ssim(images, images), round(ssim(images, 255 - images), 3)
    (1.0, -0.826)

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    return float(
        np.mean([_ssim(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(targets, predicted, strict=True)])
    )


def _ssim(x: Floats, y: Floats) -> float:
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my, xx, yy, xy = _windowed(np.stack([x, y, x * x, y * y, x * y]))
    similar = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
    return float(np.mean(similar / ((mx**2 + my**2 + c1) * (xx - mx**2 + yy - my**2 + c2))))


def _windowed(maps: Floats) -> Floats:
    """Return weighted means of maps (k, h, w, c) under the window, at all positions inside them."""
    for axis in (1, 2):
        maps = ndimage.gaussian_filter1d(maps, 1.5, axis, mode="mirror", radius=REACH)
        edge = min(REACH, (maps.shape[axis] - 1) // 2)
        maps = maps.take(range(edge, maps.shape[axis] - edge), axis)
    return maps


def interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the mean of values, and half the width of its confidence interval by Student's t.

        half = t_{n-1}((1 + level) / 2) s / sqrt(n),  NaN for one value

    Args:
        values: one or more numbers.
        level: the confidence level, for normally distributed values.

    Raises:
        LabError: if there are no values.

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
    """Return the mean of values - baseline, paired by seed, and half the width of its confidence interval.

    The variation that a seed causes in both cancels, so the interval is narrower than that of a difference of means.

    Raises:
        LabError: if the lengths differ or there are no values.

    >>> paired([0.8, 0.9], [0.7, 0.8])[0].__round__(9)
    0.1
    """
    if len(values) != len(baseline):
        raise LabError(f"expected one value a seed on both sides, got {len(values)} and {len(baseline)}")
    return interval(np.subtract(values, baseline), level)
