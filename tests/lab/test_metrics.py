"""Metrics: known results and SciPy."""

import math

import numpy as np
import pytest
from scipy import special, stats

from mixaug.lab.errors import LabError
from mixaug.lab.metrics import (
    accuracy,
    boundary_f1,
    calibration_error,
    confusion,
    grey_error,
    interval,
    iou,
    known,
    log_loss,
    mean_iou,
    most_confused,
    overconfidence,
    paired,
    pixel_accuracy,
    pixel_confusion,
    pixel_log_loss,
    psnr,
    softmax,
    ssim,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (500, 7)).astype(np.float32)
LABELS = RNG.integers(0, 7, 500)


def two(*confidences):
    """Probabilities of two classes; the first is predicted with the given confidences."""
    return np.array([[c, 1 - c] for c in confidences])


def test_softmax_equals_scipys_in_float64():
    assert softmax(LOGITS).dtype == np.float64
    assert np.allclose(softmax(LOGITS), special.softmax(LOGITS.astype(np.float64), axis=1), rtol=1e-14)


def test_softmax_of_large_logits():
    assert softmax(np.array([[1e4, 1e4, -1e4]])).tolist() == [[0.5, 0.5, 0.0]]


def test_accuracy():
    assert accuracy(np.array([[1, 2], [2, 1], [0, 9], [5, 4]]), np.array([1, 0, 0, 1])) == 0.5


def test_log_loss_is_the_mean_negative_log_probability():
    by_hand = -np.mean([math.log(p[y]) for p, y in zip(softmax(LOGITS), LABELS, strict=True)])
    assert log_loss(LOGITS, LABELS) == pytest.approx(by_hand, rel=1e-12)


def test_log_loss_is_finite_for_probability_zero():
    assert log_loss(np.array([[0.0, 2000.0]], np.float32), np.array([0])) == 2000.0


def test_calibration_error_by_hand():
    # bins of 1/5: (0.6, 0.8] holds 0.7 and 0.8, one right; (0.8, 1] holds 0.9 and 1, both right
    probabilities, labels = two(0.7, 0.8, 0.9, 1.0), np.array([0, 1, 0, 0])
    assert calibration_error(probabilities, labels, bins=5) == pytest.approx((0.5 + 0.1) / 4)
    assert overconfidence(probabilities, labels) == pytest.approx((0.5 - 0.1) / 4)


def test_calibration_error_of_one_bin_is_the_absolute_overconfidence():
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
def test_interval_equals_scipys(n, level):
    values = RNG.normal(0.7, 0.1, n)
    mean, half = interval(values, level)
    low, high = stats.t.interval(level, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-9)


def test_interval_of_one_value_has_no_width():
    mean, half = interval([0.5])
    assert mean == 0.5
    assert math.isnan(half)


def test_interval_of_no_values():
    with pytest.raises(LabError, match=r"^expected one value or more"):
        interval([])


def test_paired_equals_scipys_paired_test():
    baseline = RNG.normal(0.7, 0.1, 6)
    values = baseline + RNG.normal(0.02, 0.005, 6)
    test = stats.ttest_rel(values, baseline).confidence_interval(0.95)
    mean, half = paired(values.tolist(), baseline.tolist())
    assert (mean - half, mean + half) == pytest.approx((test.low, test.high), rel=1e-9)


def test_paired_of_different_numbers():
    with pytest.raises(LabError, match=r"got 2 and 1$"):
        paired([1.0, 2.0], [1.0])


# --- masks ---

MASKS = RNG.integers(0, 5, (6, 9, 7)).astype(np.uint8)
PREDICTED = RNG.integers(0, 5, (6, 9, 7)).astype(np.uint8)
HOLES = np.where(RNG.random(MASKS.shape) < 0.3, np.uint8(255), MASKS)


def square(top, left, side=8, size=32, of=1):
    """A mask of zeros with a square of a class."""
    mask = np.zeros((1, size, size), np.uint8)
    mask[:, top : top + side, left : left + side] = of
    return mask


def test_known():
    assert known(MASKS, None).all()
    assert np.array_equal(known(HOLES, 255), HOLES != 255)


def test_pixel_log_loss_equals_that_of_rows():
    logits = RNG.normal(0, 3, (*MASKS.shape, 5))
    by_rows = [log_loss(z.reshape(-1, 5), m.ravel()) * m.size for z, m in zip(logits, MASKS, strict=True)]
    assert np.allclose(pixel_log_loss(logits, MASKS), by_rows, rtol=1e-12)
    assert np.allclose(pixel_log_loss(logits.astype(np.float32), MASKS), by_rows, rtol=1e-5)
    said = HOLES != 255
    expected = log_loss(logits[said], HOLES[said]) * said.sum()
    assert pixel_log_loss(logits, HOLES, 255).sum() == pytest.approx(expected)


def test_pixel_log_loss_stays_finite():
    assert pixel_log_loss(np.float32([[[[0, 2000]]]]), np.uint8([[[0]]])).tolist() == [2000]


def test_pixel_confusion_of_uint8_does_not_overflow_and_excludes_ignored_pixels():
    masks, predicted = np.uint8([[20, 3, 255]]), np.uint8([[24, 3, 7]])
    matrix = pixel_confusion(masks, predicted, 25, ignore_index=255)
    assert matrix.sum() == 2
    assert matrix[20, 24] == matrix[3, 3] == 1


def test_the_ignored_id_may_be_a_class():
    assert pixel_confusion(np.uint8([0, 1]), np.uint8([1, 1]), 2, ignore_index=0).tolist() == [[0, 0], [0, 1]]


def test_iou_by_sets():
    matrix = pixel_confusion(HOLES, PREDICTED, 6, ignore_index=255)
    said = HOLES != 255
    for c in range(5):
        true, found = said & (c == HOLES), said & (c == PREDICTED)
        assert iou(matrix)[c] == pytest.approx((true & found).sum() / (true | found).sum())
    assert math.isnan(iou(matrix)[5])
    assert mean_iou(matrix) == pytest.approx(iou(matrix)[:5].mean())
    assert pixel_accuracy(matrix) == pytest.approx((HOLES == PREDICTED)[said].mean())


def test_a_class_that_is_only_predicted_counts():
    matrix = pixel_confusion(np.zeros(4, np.uint8), np.uint8([0, 0, 0, 1]), 3)
    assert mean_iou(matrix) == pytest.approx((3 / 4 + 0) / 2)


@pytest.mark.parametrize(("height", "width", "within"), [(8, 8, 1), (64, 64, 1), (300, 400, 3), (600, 800, 7)])
def test_the_tolerance_of_boundary_f1_depends_on_the_diagonal(height, width, within):
    """Two classes that meet at a column: the boundary counts as right up to the tolerance, and as wrong beyond it."""
    columns = np.broadcast_to(np.arange(width), (1, height, width))
    masks, *moved = ((columns >= width // 2 + shift).astype(np.uint8) for shift in (0, within, within + 1))
    assert [boundary_f1(masks, predicted, 2) for predicted in moved] == [1.0, 0.0]


def edge(ids, c, said):
    """The pixels on the boundary of a class, by definition."""
    size = np.array(ids.shape)
    pixels = [np.array(pixel) for pixel in np.argwhere(said)]
    beside = {tuple(p): [p + step for step in ((0, 1), (0, -1), (1, 0), (-1, 0))] for p in pixels}
    within = {p: [tuple(q) for q in others if (q >= 0).all() and (q < size).all()] for p, others in beside.items()}
    return [p for p, others in within.items() if ids[p] == c and any(said[q] and ids[q] != c for q in others)]


def test_boundary_f1_pixel_by_pixel():
    scores = []
    for ids, predicted in zip(HOLES, PREDICTED, strict=True):
        said, of_image = ids != 255, []
        for c in range(5):
            true, found = edge(ids, c, said), edge(predicted, c, said)
            hits = [
                np.mean([any(math.dist(p, q) <= 1 for q in others) for p in own] or [0])
                for own, others in ((found, true), (true, found))
            ]
            if true or found:
                of_image.append(2 * hits[0] * hits[1] / sum(hits) if sum(hits) else 0)
        scores.append(np.mean(of_image))
    assert boundary_f1(HOLES, PREDICTED, 5, ignore_index=255) == pytest.approx(np.mean(scores))


def test_boundary_f1_counts_a_class_that_only_one_mask_has():
    masks, predicted = square(4, 4), square(4, 4) + square(20, 20, of=2)
    both = boundary_f1(masks, predicted, 3)
    # class 1 is right, class 2 is missing; precision of the background is 1/2
    assert both == pytest.approx((1 + 0 + 2 * 0.5 / 1.5) / 3, abs=0.01)


def test_boundary_f1_is_the_mean_over_images_that_have_one():
    masks, predicted = np.concatenate([square(4, 4), square(4, 4), 0 * square(4, 4)]), np.zeros((3, 32, 32), np.uint8)
    predicted[0] = masks[0]
    assert boundary_f1(masks, predicted, 2) == pytest.approx((1 + 0) / 2)


def test_boundary_f1_without_boundaries():
    assert boundary_f1(np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8), np.uint8), 2) == 1.0


def test_boundary_f1_of_ignored_pixels():
    masks = square(8, 8)
    masks[:, :, 20:] = 255
    predicted = square(8, 8) + square(8, 22, of=1)  # the second one is ignored
    assert boundary_f1(masks, predicted, 2, ignore_index=255) == 1.0
    assert boundary_f1(np.where(masks == 255, 0, masks), predicted, 2) < 1


# --- images ---


def test_grey_error_and_psnr_by_hand():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    others = images.copy()
    others[0] = 10
    others[1, :2] = 4  # half of the pixels
    assert grey_error(images, others) == grey_error(others, images) == (10 + 2) / 2
    assert psnr(images, others) == pytest.approx(10 * np.mean([math.log10(255**2 / 100), math.log10(255**2 / 8)]))


def test_psnr_stays_finite():
    images = np.zeros((1, 4, 4, 1), np.uint8)
    assert psnr(images, images) == pytest.approx(10 * math.log10(12 * 255**2))


def windows(x):
    """All 11x11 windows, and the weights of their pixels."""
    weight = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(weight, weight)
    return np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), (11, 11)), weight / weight.sum()


def test_ssim_is_the_mean_over_windows():
    x, y = RNG.integers(0, 256, (2, 17, 14), np.uint8)
    (a, weight), (b, _) = windows(x), windows(y)
    mx, my = (a * weight).sum((2, 3)), (b * weight).sum((2, 3))
    da, db = a - mx[..., None, None], b - my[..., None, None]
    vx, vy, cov = ((weight * part).sum((2, 3)) for part in (da * da, db * db, da * db))
    c1, c2 = 6.5025, 58.5225
    expected = ((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()
    assert ssim(x[None, ..., None], y[None, ..., None]) == pytest.approx(expected, rel=1e-9)


def test_ssim_of_flat_images_depends_on_brightness():
    x, y = np.full((1, 16, 16, 3), 100, np.uint8), np.full((1, 16, 16, 3), 50, np.uint8)
    assert ssim(x, y) == pytest.approx((2 * 100 * 50 + 6.5025) / (100**2 + 50**2 + 6.5025))


@pytest.mark.parametrize("shape", [(3, 20, 20, 3), (1, 8, 9, 1), (1, 1, 30, 1)])
def test_ssim_of_the_same_images_is_one(shape):
    images = RNG.integers(0, 256, shape, np.uint8)
    assert ssim(images, images) == pytest.approx(1)
    assert ssim(images, images // 2) < 1


def test_ssim_is_the_mean_over_images_and_channels():
    x, y = RNG.integers(0, 256, (2, 2, 16, 16, 3), np.uint8)
    each = [ssim(x[i : i + 1, ..., c : c + 1], y[i : i + 1, ..., c : c + 1]) for i in range(2) for c in range(3)]
    assert ssim(x, y) == pytest.approx(np.mean(each))
