"""Measures beyond accuracy: of networks whose answers are known, and on images that tell what was done to them."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from mixaug.lab import attacks, beyond, metrics  # noqa: E402
from mixaug.lab.corruptions import STRENGTHS, corrupted, with_hole  # noqa: E402
from mixaug.lab.dataset import Data, Split  # noqa: E402

RNG = np.random.default_rng(0)


def linear(weights, bias):
    """A network whose logits are a linear function of the pixels in 0..1."""
    pixels = keras.Input((2, 2, 1))
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, keras.layers.Dense(len(bias))(flat))
    model.set_weights([np.float32(weights), np.float32(bias)])
    return model


def bright_or_dark(levels):
    """A network that says 1 where the mean pixel is above the middle, on images of these grey levels, with the data."""
    model = linear(np.tile([[-10.0, 10.0]], (4, 1)), [20.0, -20.0])
    images = np.repeat(np.uint8(levels), 4).reshape(-1, 2, 2, 1)
    labels = (np.asarray(levels) > 127).astype(np.int64)
    split = Split(images, labels)
    data = Data("levels", ("dark", "bright"), split, split)
    return beyond.Trained(model, data, model.predict(images, verbose=0))


# --- calibration ---


def test_an_overconfident_network_is_told_from_an_underconfident_one_and_both_are_mended():
    """Logits whose classes are drawn from the softmax of the logits themselves, divided by a known temperature."""
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (20_000, 3))
    p = metrics.softmax(honest)
    labels = (rng.uniform(size=(20_000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    split = Split(np.zeros((20_000, 1, 1, 1), np.uint8), labels)
    for factor, sign in ((3.0, 1), (1.0, 0), (0.4, -1)):
        trained = beyond.Trained(None, Data("drawn", ("a", "b", "c"), split, split), honest * factor)
        found = beyond.measured(("calibration",), trained)
        assert found["temperature"] == pytest.approx(factor, rel=0.05)
        assert abs(found["cooled_overconfidence"]) < 0.01
        assert found["cooled_ece"] < 0.02
        assert found["overconfidence"] * sign > 0.05 if sign else abs(found["overconfidence"]) < 0.01


def test_the_temperature_of_images_is_not_fitted_on_themselves():
    """Images at even places are right and unsure, those at odd ones wrong and sure: each half gets the other's."""
    logits = np.tile([[0.5, 0.0], [8.0, 0.0]], (100, 1))
    labels = np.tile([0, 1], 100)
    split = Split(np.zeros((200, 1, 1, 1), np.uint8), labels)
    found = beyond.measured(("calibration",), beyond.Trained(None, Data("x", ("a", "b"), split, split), logits))
    hot, cold = beyond.temperature(logits[1::2], labels[1::2]), beyond.temperature(logits[::2], labels[::2])
    assert hot == pytest.approx(20, rel=0.01)
    assert cold == pytest.approx(0.05, rel=0.01)
    even, odd = metrics.softmax(logits[:1] / hot)[0, 0], metrics.softmax(logits[1:2] / cold)[0, 0]
    assert found["cooled_overconfidence"] == pytest.approx((even + odd) / 2 - 0.5, abs=1e-3)


def test_the_brier_score_is_0_where_all_is_right_and_2_where_all_is_wrong():
    sure = np.eye(3)
    assert beyond.brier(sure, np.array([0, 1, 2])) == 0
    assert beyond.brier(sure, np.array([1, 2, 0])) == 2
    assert beyond.brier(np.full((1, 4), 0.25), np.array([2])) == pytest.approx(3 / 16 + 9 / 16)


# --- corruptions and holes ---


@pytest.mark.parametrize("kind", STRENGTHS)
@pytest.mark.parametrize("shape", [(2, 16, 16, 3), (2, 9, 13, 1), (1, 120, 100, 3)])
def test_corruptions_grow_with_their_strength_and_are_the_same_at_each_call(kind, shape):
    rng = np.random.default_rng(1)
    smooth = np.linspace(40, 160, shape[1])[None, :, None, None] + rng.integers(-30, 30, shape)
    images = smooth.astype(np.uint8)
    before, off = images.copy(), []
    for strength in range(1, 6):
        out = corrupted(images, kind, strength)
        assert (out.shape, out.dtype) == (shape, np.uint8)
        assert np.array_equal(out, corrupted(images, kind, strength))
        off.append(np.abs(out.astype(int) - images).mean())
    assert off == sorted(set(off))
    assert off[0] > 0
    assert np.array_equal(images, before)


def test_each_corruption_is_what_it_says():
    grey = np.full((1, 64, 64, 1), 100, np.uint8)
    noisy = corrupted(grey, "noise", 3).astype(float)
    assert noisy.std() == pytest.approx(0.08 * 255, rel=0.05)
    assert noisy.mean() == pytest.approx(100, abs=1.5)
    point = np.zeros((1, 9, 9, 1), np.uint8)
    point[0, 4, 4] = 255
    blurred = corrupted(point, "blur", 5)[0, :, :, 0]
    assert blurred[4, 4] == blurred.max() < 128
    assert np.array_equal(blurred, blurred.T)
    assert blurred[4, 4] == round(255 / (2 * np.pi * 1.0**2))
    halves = np.repeat(np.uint8([50, 150]), 32).reshape(1, 8, 8, 1)
    assert set(np.unique(corrupted(halves, "contrast", 2))) == {75, 125}
    red = np.broadcast_to(np.uint8([100, 50, 0]), (1, 8, 8, 3))
    assert corrupted(red, "brightness", 4)[0, 0, 0].tolist() == [151, 76, 0]
    assert corrupted(red * 0, "brightness", 4)[0, 0, 0].tolist() == [51, 51, 51]
    flat = corrupted(np.repeat(grey, 3, axis=-1), "jpeg", 5)
    assert abs(flat.astype(int) - 100).max() <= 2


def test_a_hole_is_a_black_box_in_the_middle():
    images = np.full((1, 8, 12, 1), 9, np.uint8)
    holed = with_hole(images, 0.5)
    assert (holed[0, 2:6, 3:9] == 0).all()
    assert (holed == 0).sum() == 24
    assert (images == 9).all()


def test_accuracy_on_images_made_brighter_or_covered():
    """A network that knows bright from dark is wrong where a dark image becomes bright, and a hole darkens it."""
    trained = bright_or_dark([20, 100, 140, 250])
    found = beyond.measured(("corruptions", "occlusion"), trained)
    shift = [255 * s for s in STRENGTHS["brightness"][0]]
    assert found["accuracy_brightness"] == pytest.approx(np.mean([0.75 if 100 + s > 127.5 else 1.0 for s in shift]))
    assert found["accuracy_contrast"] == 1.0
    kinds = [found[f"accuracy_{kind}"] for kind in STRENGTHS]
    assert found["accuracy_corrupted"] == pytest.approx(np.mean(kinds))
    assert found["accuracy_occluded"] == pytest.approx(np.mean([1.0, 0.5, 0.5]))  # of 2x2 pixels 0, 4 and 4 are covered


def test_many_test_images_are_represented_by_the_same_some_of_them():
    trained = bright_or_dark(RNG.integers(0, 256, 1200))
    part = trained.some(500)
    assert len(part) == 500
    assert np.array_equal(part.images, trained.some(500).images)
    assert (np.flatnonzero(np.isin(np.arange(1200), np.arange(600)))).size > 100
    assert trained.some(2000) is trained.data.test


# --- attacks ---


def test_the_gradient_is_that_of_the_loss():
    """Beside differences of the loss itself."""
    model = linear(RNG.normal(size=(4, 3)), [0.1, 0.2, 0.3])
    images, labels = RNG.uniform(50, 200, (5, 2, 2, 1)).astype(np.float32), np.array([0, 1, 2, 1, 0])
    gradient = attacks.loss_gradient(model)(images, labels)

    def loss(x):
        return len(labels) * metrics.log_loss(model.predict(x, verbose=0).astype(np.float64), labels)

    for place in ((0, 0, 0, 0), (3, 1, 0, 0), (4, 1, 1, 0)):
        step = np.zeros_like(images)
        step[place] = 8.0
        assert (loss(images + step) - loss(images - step)) / 16 == pytest.approx(gradient[place], rel=0.02, abs=1e-6)


def test_attacks_stay_within_their_reach_and_find_what_can_be_found():
    """Against a linear network one step of the sign is the best there is, and PGD gets there too."""
    levels = np.array([2, 115, 122, 126, 130, 134, 140, 253])
    trained = bright_or_dark(levels)
    images, labels = trained.data.test.images.astype(np.float32), trained.labels
    gradient = attacks.loss_gradient(trained.model)
    for attack in (attacks.fgsm, attacks.pgd):
        attacked = attack(gradient, images, labels)
        assert np.abs(attacked - images).max() <= 8
        assert 0 <= attacked.min() <= attacked.max() <= 255
        unclipped = slice(1, -1)
        assert np.allclose(np.abs(attacked - images)[unclipped], 8)
    within = np.abs(levels - 127.5) < 8
    found = beyond.measured(("attacks",), trained)
    expected = pytest.approx(1 - within.mean())
    assert found == {"accuracy_fgsm": expected, "accuracy_pgd": expected}


def test_attacks_leave_the_network_as_it_is():
    trained = bright_or_dark([100, 130])
    before = trained.model.get_weights()
    beyond.measured(("attacks",), trained)
    assert all(map(np.array_equal, before, trained.model.get_weights()))


def test_what_is_named_is_measured_and_says_what_it_means():
    trained = bright_or_dark([20, 250, 30, 200])
    for name, kind in beyond.BEYOND.items():
        assert set(beyond.measured((name,), trained)) == {measure.field for measure in kind.measures}
        assert kind.meaning.endswith(".")
    fields = [measure.field for measure in beyond.measures(tuple(beyond.BEYOND))]
    assert len(set(fields)) == len(fields)
