"""The metrics against values by hand and against SciPy."""

import math

import numpy as np
import pytest
from scipy import special, stats

from mixaug.lab.errors import LabError
from mixaug.lab.metrics import (
    accuracy,
    calibration_error,
    confusion,
    interval,
    log_loss,
    most_confused,
    overconfidence,
    paired,
    softmax,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (500, 7)).astype(np.float32)
LABELS = RNG.integers(0, 7, 500)


def two(*confidences):
    """Probabilities of two classes, of which the first is predicted with each confidence."""
    return np.array([[c, 1 - c] for c in confidences])


def test_softmax_is_scipys_in_float64():
    assert softmax(LOGITS).dtype == np.float64
    assert np.allclose(softmax(LOGITS), special.softmax(LOGITS.astype(np.float64), axis=1), rtol=1e-14)


def test_softmax_of_large_logits():
    assert softmax(np.array([[1e4, 1e4, -1e4]])).tolist() == [[0.5, 0.5, 0.0]]


def test_accuracy():
    assert accuracy(np.array([[1, 2], [2, 1], [0, 9], [5, 4]]), np.array([1, 0, 0, 1])) == 0.5


def test_log_loss_is_the_mean_negative_log_probability():
    by_hand = -np.mean([math.log(p[y]) for p, y in zip(softmax(LOGITS), LABELS, strict=True)])
    assert log_loss(LOGITS, LABELS) == pytest.approx(by_hand, rel=1e-12)


def test_log_loss_stays_finite_where_the_probability_is_zero():
    assert log_loss(np.array([[0.0, 2000.0]], np.float32), np.array([0])) == 2000.0


def test_calibration_error_by_hand():
    # bins of 1/5: (0.6, 0.8] holds 0.7 and 0.8, one right; (0.8, 1] holds 0.9 and 1, both right
    probabilities, labels = two(0.7, 0.8, 0.9, 1.0), np.array([0, 1, 0, 0])
    assert calibration_error(probabilities, labels, bins=5) == pytest.approx((0.5 + 0.1) / 4)
    assert overconfidence(probabilities, labels) == pytest.approx((0.5 - 0.1) / 4)


def test_calibration_error_of_one_bin_is_the_size_of_overconfidence():
    probabilities = softmax(LOGITS)
    assert calibration_error(probabilities, LABELS, bins=1) == pytest.approx(abs(overconfidence(probabilities, LABELS)))


def test_calibration_error_by_masks():
    probabilities = softmax(LOGITS)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == LABELS
    error = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert calibration_error(probabilities, LABELS) == pytest.approx(error, rel=1e-9)


def test_overconfidence_has_a_sign():
    assert overconfidence(two(0.9, 0.9), np.array([1, 1])) == pytest.approx(0.9)
    assert overconfidence(two(0.6, 0.6), np.array([0, 0])) == pytest.approx(-0.4)


def test_confusion_by_hand():
    matrix = confusion(np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 0, 0]), classes=3)
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 0], [2, 0, 1]]


def test_most_confused_by_hand():
    matrix = np.array([[90, 3, 0], [3, 50, 7], [0, 1, 99]])
    names = ["cat", "dog", "ship"]
    worst = [("dog", "ship", 7), ("cat", "dog", 3), ("dog", "cat", 3), ("ship", "dog", 1)]
    assert most_confused(matrix, names, 10) == worst
    assert most_confused(matrix, names, 2) == worst[:2]
    assert most_confused(np.diag([1, 2, 3]), names, 5) == []


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_interval_is_scipys(n, level):
    values = RNG.normal(0.7, 0.1, n)
    mean, half = interval(values, level)
    low, high = stats.t.interval(level, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-9)


def test_interval_of_one_value_has_no_width():
    mean, half = interval([0.5])
    assert mean == 0.5
    assert math.isnan(half)


def test_interval_of_none():
    with pytest.raises(LabError, match=r"^expected one value or more"):
        interval([])


def test_paired_is_scipys_paired_test():
    baseline = RNG.normal(0.7, 0.1, 6)
    values = baseline + RNG.normal(0.02, 0.005, 6)
    test = stats.ttest_rel(values, baseline).confidence_interval(0.95)
    mean, half = paired(values.tolist(), baseline.tolist())
    assert (mean - half, mean + half) == pytest.approx((test.low, test.high), rel=1e-9)


def test_paired_of_different_numbers():
    with pytest.raises(LabError, match=r"got 2 and 1$"):
        paired([1.0, 2.0], [1.0])
