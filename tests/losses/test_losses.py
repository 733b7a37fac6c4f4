"""Losses: cases with known results, agreement with the frameworks' losses, gradients, every error."""

from __future__ import annotations

import functools
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import jax
import jax.numpy as jnp
import keras
import ml_dtypes
import numpy as np
import optax
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

import mixaug as ma
import ways
from mixaug import losses

tf = ways.tf
LOGITS = np.random.default_rng(0).normal(0, 3, (5, 4)).astype(np.float32)
LABELS = np.float32([[1, 0, 0, 0], [0.25, 0.75, 0, 0], [0.5, 0.25, 0.125, 0.125], [0, 0, 0, 0], [0, 0, 0.5, 0.5]])
HOTS = np.float32([[1, 0, 1, 0], [0.25, 0.75, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0.5, 0, 0, 0.5]])
LOSSES = {"cross_entropy": (losses.cross_entropy, LABELS), "binary": (losses.binary_cross_entropy, HOTS)}
AUTOGRAD = ["tensorflow", "torch", "jax"]
BATCH_IDS = np.array([0, 1, 1, 2, 0, 2])  # sources of the same class are frequent

per_way = pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
per_loss = pytest.mark.parametrize("name", LOSSES)


def defined(name: str, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The losses as defined in their papers, in float64."""
    x, y = logits.astype(np.float64), labels.astype(np.float64)
    if name == "cross_entropy":
        return -(y * log_softmax(x, -1)).sum(-1)
    p = 1 / (1 + np.exp(-x))
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(-1)


def gradient(library: str, function, *arrays: np.ndarray) -> np.ndarray:
    """The gradient of the sum of a function with respect to its first argument."""
    if library == "jax":
        first, *others = map(jnp.asarray, arrays)
        return np.asarray(jax.grad(lambda x: function(x, *others).sum())(first))
    if library == "torch":
        first, *others = map(ways.tensor, arrays)
        function(first.requires_grad_(), *others).sum().backward()
        return ways.values(first.grad)
    first, *others = map(tf.constant, arrays)
    with tf.GradientTape() as tape:
        tape.watch(first)
        total = tf.reduce_sum(function(first, *others))
    return tape.gradient(total, first).numpy()


def test_a_cross_entropy_by_hand():
    logits = np.log(np.float32([[1, 3], [1, 1], [1, 3]]))
    loss = losses.cross_entropy(logits, np.float32([[0.5, 0.5], [1, 0], [0, 0]]))
    np.testing.assert_allclose(loss, [np.log(4) - 0.5 * np.log(3), np.log(2), 0], rtol=1e-6)
    assert not np.signbit(loss[2])


def test_a_binary_cross_entropy_by_hand():
    logits = np.log(np.float32([[1, 3], [1, 1]]))  # probabilities 1/2 and 3/4
    loss = losses.binary_cross_entropy(logits, np.float32([[1, 0], [0.3, 0.6]]))
    np.testing.assert_allclose(loss, [(np.log(2) + np.log(4)) / 2, np.log(2)], rtol=1e-6)


def test_smoothing_by_hand():
    labels = np.float32([[0.75, 0.25, 0, 0], [0, 0, 0, 0], [0.5, 0, 0, 0]])
    smoothed = losses.smooth(labels, 0.2)
    np.testing.assert_allclose(smoothed, [[0.65, 0.25, 0.05, 0.05], [0] * 4, [0.425, 0.025, 0.025, 0.025]], atol=1e-7)
    hot = losses.smooth(np.array([[1, 0], [1, 1]]), 0.2, multi_label=True)
    np.testing.assert_allclose(hot, [[0.9, 0.1], [0.9, 0.9]], atol=1e-7)


def test_mixed_criterion_by_hand():
    def distance(prediction, ids):
        return abs(prediction - ids)

    parts, lam = np.array([[0, 4], [3, 4]]), np.float32([[0.75, 1], [0.25, 0]])
    np.testing.assert_array_equal(losses.mixed_criterion(distance, np.float32([1, 1]), parts, lam), [1.25, 3])


def test_a_loss_on_parts_keeps_the_axes_of_the_loss():
    parts = np.random.default_rng(0).random((2, 3, 4), np.float32)
    lam = np.float32([[0.75, 1, 0.5], [0.25, 0, 0.5]])
    loss = losses.mixed_criterion(lambda x, y: (x - y) ** 2, np.zeros((3, 4), np.float32), parts, lam)
    np.testing.assert_allclose(loss, (lam[..., None] * parts**2).sum(0), rtol=1e-6)


@per_loss
@per_way
def test_every_library_gives_the_loss(way, name):
    loss, labels = LOSSES[name]
    want = defined(name, LOGITS, labels).astype(np.float32)
    ways.assert_same(way(loss, LOGITS, labels), want, ways.array_of(way), atol=4e-6)


@per_way
def test_every_library_gives_the_loss_on_parts_and_smooths(way):
    mix = ma.MixUp(alpha=1.0, sources=3).draw(5, (2, 2), key=(0, 0))
    parts, lam = mix.per_source(np.eye(4, dtype=np.float32)[[0, 1, 1, 2, 3]])

    def run(logits, first, second, third, lam):
        xp = ma.backends.of(logits)
        parts = losses.smooth(xp.stack([first, second, third]), 0.1)
        return losses.mixed_criterion(losses.cross_entropy, logits, parts, xp.transpose(lam))

    got = way(run, LOGITS, *parts, lam.T.copy())
    dense = 0.9 * mix.labels(np.array([0, 1, 1, 2, 3]), 4) + 0.1 / 4
    want = defined("cross_entropy", LOGITS, dense).astype(np.float32)
    ways.assert_same(got, want, ways.array_of(way), atol=4e-6)


@per_loss
@pytest.mark.parametrize("library", ["numpy", "tensorflow", "torch"])
def test_float64_logits_are_computed_in_float64(library, name):
    loss, labels = LOSSES[name]
    logits = LOGITS.astype(np.float64) / 7
    got = ways.values(loss(ways.MAKE[library](logits), ways.MAKE[library](labels)))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, defined(name, logits, labels), rtol=1e-13)


@per_loss
@pytest.mark.parametrize("half", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("library", ways.MAKE)
def test_half_precision_is_computed_in_float32(library, half, name):
    """The mean of 80,000 losses must not be accumulated in bfloat16, where the sum would stop at 256."""
    loss, labels = LOSSES[name]
    halved = LOGITS.astype(half)
    got = ways.values(loss(ways.MAKE[library](halved), ways.MAKE[library](labels)))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, defined(name, halved, labels), atol=4e-6)


@per_loss
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float64"])
@pytest.mark.parametrize("library", ways.MAKE)
def test_labels_of_any_dtype(library, dtype, name):
    labels = np.eye(4)[[0, 3, 1, 1, 2]].astype(dtype)
    got = ways.values(LOSSES[name][0](ways.MAKE[library](LOGITS), ways.MAKE[library](labels)))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, defined(name, LOGITS, labels), atol=4e-6)


@pytest.mark.parametrize("library", ways.MAKE)
def test_huge_logits(library):
    make = ways.MAKE[library]
    logits = np.float32([[1e38, -1e38, 0], [1e38, -1e38, 0], [3e4, 3e4, -3e4], [0, -np.inf, 0]])
    labels = np.float32([[1, 0, 0], [0.25, 0, 0.75], [0.5, 0.5, 0], [0.5, 0, 0.5]])
    got = ways.values(losses.cross_entropy(make(logits), make(labels)))
    np.testing.assert_allclose(got, [0, 7.5e37, np.log(2), np.log(2)], rtol=1e-6)
    got = ways.values(losses.binary_cross_entropy(make(logits[:3, :2]), make(np.float32([[1, 0], [0.5, 0], [1, 0]]))))
    np.testing.assert_allclose(got, [0, 2.5e37, 1.5e4], rtol=1e-6)


@pytest.mark.parametrize("library", AUTOGRAD)
def test_the_gradient_of_cross_entropy_is_softmax_minus_labels(library):
    """Also for equal logits, an ignored row, and a class that is masked out."""
    logits = np.concatenate([LOGITS, np.float32([[0, 0, 0, 0], [-np.inf, 0, 1, 2]])])
    labels = np.concatenate([LABELS, np.float32([[0.75, 0.25, 0, 0], [0, 0.5, 0.5, 0]])])
    got = gradient(library, losses.cross_entropy, logits, labels)
    want = np.exp(log_softmax(logits.astype(np.float64), -1)) * labels.sum(-1, keepdims=True) - labels
    np.testing.assert_allclose(got, want, atol=1e-6)
    half = gradient(library, losses.cross_entropy, LOGITS.astype(np.float16), LABELS)
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, want[:5], atol=3e-3)


@pytest.mark.parametrize("library", AUTOGRAD)
def test_the_gradient_of_binary_cross_entropy_is_sigmoid_minus_labels(library):
    """Also at 0, where max and the absolute value are not differentiable."""
    logits = np.concatenate([LOGITS, np.zeros((2, 4), np.float32)])
    labels = np.concatenate([HOTS, np.float32([[1, 0, 0.25, 0.75], [0, 0, 0, 0]])])
    got = gradient(library, losses.binary_cross_entropy, logits, labels)
    np.testing.assert_allclose(got, (1 / (1 + np.exp(-logits)) - labels) / 4, atol=1e-6)


@pytest.mark.parametrize("library", AUTOGRAD)
def test_the_gradient_of_mixed_criterion_equals_that_of_mixed_labels(library):
    mix = ma.CutMix().draw(6, (8, 8), key=(0, 0))
    hot, logits = np.eye(4, dtype=np.float32)[BATCH_IDS], np.concatenate([LOGITS, LOGITS[:1]])
    mixed_criterion = functools.partial(losses.mixed_criterion, losses.cross_entropy)
    got = gradient(library, mixed_criterion, logits, *mix.per_source(hot))
    np.testing.assert_allclose(got, gradient(library, losses.cross_entropy, logits, mix.labels(hot)), atol=1e-6)


def test_gradients_pass_through_compiled_code():
    want = gradient("jax", losses.cross_entropy, LOGITS, LABELS)
    torch._dynamo.reset()
    compiled = torch.compile(losses.cross_entropy, fullgraph=True, backend="aot_eager")
    for library, function in {
        "tensorflow": tf.function(losses.cross_entropy, jit_compile=True),
        "torch": compiled,
        "jax": jax.jit(losses.cross_entropy),
    }.items():
        np.testing.assert_allclose(gradient(library, function, LOGITS, LABELS), want, atol=1e-6)


def test_vmap_gives_the_rows():
    rows = jax.vmap(losses.cross_entropy)(jnp.asarray(LOGITS), jnp.asarray(LABELS))
    np.testing.assert_allclose(rows, losses.cross_entropy(LOGITS, LABELS), atol=1e-6)
    rows = torch.vmap(losses.cross_entropy)(ways.tensor(LOGITS), ways.tensor(LABELS))
    np.testing.assert_allclose(rows, losses.cross_entropy(LOGITS, LABELS), atol=1e-6)


def test_pixels_have_their_losses():
    """(n, height, width, classes); ignored pixels, whose labels are zeros, give 0."""
    logits, labels = np.tile(LOGITS[:, None], (1, 3, 1)), np.tile(LABELS[:, None], (1, 3, 1))
    loss = losses.cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, np.tile(losses.cross_entropy(LOGITS, LABELS)[:, None], (1, 3)), atol=1e-6)
    assert (loss[3] == 0).all()


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_parts_give_the_loss_of_the_mixed_labels(recipe):
    """Also if sources have the same class, and if the batch is smaller than the number of sources."""
    generator = np.random.default_rng(0)
    for ids in (BATCH_IDS, np.array([2, 2, 2]), np.array([1, 0]), np.array([1])):
        mix = recipe.draw(len(ids), (8, 6), key=(0, 0))
        hot, logits = np.eye(3, dtype=np.float32)[ids], generator.normal(0, 3, (len(ids), 3)).astype(np.float32)
        dense = losses.cross_entropy(logits, mix.labels(ids, 3))
        np.testing.assert_allclose(
            losses.mixed_criterion(losses.cross_entropy, logits, *mix.per_source(hot)), dense, atol=4e-6
        )
        logits = ways.tensor(logits)
        mix = recipe.draw(len(ids), (8, 6), key=(0, 0), like=logits)
        rows = functools.partial(torch.nn.functional.cross_entropy, reduction="none")
        np.testing.assert_allclose(
            losses.mixed_criterion(rows, logits, *mix.per_source(ways.tensor(ids))), dense, atol=4e-6
        )


def test_other_losses_of_class_ids_on_parts():
    for like, loss in (
        (jnp.asarray(LOGITS), optax.losses.softmax_cross_entropy_with_integer_labels),
        (tf.constant(LOGITS), lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x)),
        (tf.constant(LOGITS), lambda x, y: keras.losses.sparse_categorical_crossentropy(y, x, from_logits=True)),
    ):
        mix = ma.MixUp(alpha=1.0).draw(5, (2, 2), key=(0, 0), like=like)
        ids = ma.backends.of(like).constant(np.array([0, 1, 1, 2, 3]))
        got = losses.mixed_criterion(loss, like, *mix.per_source(ids))
        np.testing.assert_allclose(got, losses.cross_entropy(like, mix.labels(ids, 4)), atol=4e-6)


def test_torch_has_the_same_losses():
    logits, labels, hots = map(ways.tensor, (LOGITS, LABELS, HOTS))
    ours = losses.cross_entropy(logits, labels)
    np.testing.assert_allclose(ours, torch.nn.functional.cross_entropy(logits, labels, reduction="none"), atol=4e-6)
    np.testing.assert_allclose(ours.mean(), torch.nn.CrossEntropyLoss()(logits, labels), atol=1e-6)
    ours = losses.binary_cross_entropy(logits, hots).mean()
    np.testing.assert_allclose(ours, torch.nn.BCEWithLogitsLoss()(logits, hots), atol=1e-6)
    sums_to_1 = labels.sum(-1) == 1
    smoothed = losses.cross_entropy(logits, losses.smooth(labels, 0.1))[sums_to_1].mean()
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.1)(logits[sums_to_1], labels[sums_to_1])
    np.testing.assert_allclose(smoothed, theirs, atol=1e-6)
    pixels = ways.tensor(np.random.default_rng(0).normal(0, 1, (2, 4, 3, 5)).astype(np.float32))
    weights = torch.softmax(pixels.flip(1), 1)
    ours = losses.cross_entropy(pixels.movedim(1, -1), weights.movedim(1, -1))
    np.testing.assert_allclose(ours.mean(), torch.nn.CrossEntropyLoss()(pixels, weights), atol=1e-6)


def test_optax_has_the_same_losses():
    logits, labels, hots = map(jnp.asarray, (LOGITS, LABELS, HOTS))
    theirs = optax.softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(losses.cross_entropy(logits, labels), theirs, atol=4e-6)
    theirs = optax.sigmoid_binary_cross_entropy(logits, hots).mean(-1)
    np.testing.assert_allclose(losses.binary_cross_entropy(logits, hots), theirs, atol=4e-6)
    rows = jnp.array([0, 1, 2, 4])
    smoothed, theirs = losses.smooth(labels, 0.1)[rows], optax.smooth_labels(labels, 0.1)[rows]
    np.testing.assert_allclose(smoothed, theirs, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_keras_has_the_same_losses(smoothing):
    options = {"from_logits": True, "label_smoothing": smoothing}
    rows = np.array([0, 1, 2, 4])
    theirs = keras.losses.CategoricalCrossentropy(**options, reduction=None)(LABELS[rows], LOGITS[rows])
    ours = losses.cross_entropy(LOGITS, losses.smooth(LABELS, smoothing))[rows]
    np.testing.assert_allclose(ours, theirs, atol=4e-6)
    theirs = keras.losses.BinaryCrossentropy(**options, reduction=None)(HOTS, LOGITS)
    ours = losses.binary_cross_entropy(LOGITS, losses.smooth(HOTS, smoothing, multi_label=True))
    np.testing.assert_allclose(ours, theirs, atol=4e-6)


def test_a_train_step_of_keras_takes_parts():
    """`fit` passes one y_true to a loss; a custom training step can pass (targets, lam) to a loss of class ids."""

    class OnParts(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3, kernel_initializer="zeros")
            self.flat = keras.layers.Flatten()

        def call(self, x):
            return self.dense(self.flat(x))

        def train_step(self, batch):
            with tf.GradientTape() as tape:
                logits = self(batch["images"], training=True)
                rows = losses.mixed_criterion(ids_loss, logits, *batch["labels"])
                loss = tf.reduce_mean(rows)
            weights = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"mixed_criterion": loss}

    def ids_loss(logits, ids):
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=logits)

    images = np.random.default_rng(0).random((6, 4, 4, 1), np.float32)
    fields = {"labels": ma.PerSource()}
    batch = ma.mix_batch(ma.CutMix(), {"images": images, "labels": BATCH_IDS}, key=(0, 0), fields=fields)
    dense = ma.mix_batch(ma.CutMix(), (images, BATCH_IDS), key=(0, 0), num_classes=3)
    theirs = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="zeros")])
    theirs.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    ours, quiet = OnParts(), {"verbose": 0, "shuffle": False}
    ours.compile("sgd", jit_compile=False)
    got = ours.fit(tf.data.Dataset.from_tensors(batch), epochs=3, **quiet).history["mixed_criterion"]
    want = theirs.fit(tf.data.Dataset.from_tensors(dense), epochs=3, **quiet).history["loss"]
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert got[-1] < got[0] - 0.001
    np.testing.assert_allclose(ours.dense.kernel, theirs.layers[-1].kernel, atol=1e-6)


finite = st.floats(-30, 30, width=32)


@given(st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=4), finite, st.floats(0, 1, width=32))
def test_laws_of_the_losses(logits, shift, weight):
    """Invariance to shifts of logits, linearity in labels, the entropy as minimum, and symmetry of the binary loss."""
    x = np.float32(logits)
    one, other = np.float32([[1, 0, 0]] * len(x)), np.float32([[0, 0.5, 0.5]] * len(x))
    mixed = np.float32(weight) * one + np.float32(1 - weight) * other
    loss = losses.cross_entropy(x, mixed)
    np.testing.assert_allclose(losses.cross_entropy(x + np.float32(shift), mixed), loss, atol=2e-5)
    parts = weight * losses.cross_entropy(x, one) + (1 - weight) * losses.cross_entropy(x, other)
    np.testing.assert_allclose(loss, parts, atol=2e-5)
    positive = np.where(mixed > 0, mixed, 1)
    assert (loss >= -(mixed * np.log(positive)).sum(-1) - 1e-5).all()
    binary = losses.binary_cross_entropy(x, mixed)
    np.testing.assert_allclose(losses.binary_cross_entropy(-x, 1 - mixed), binary, atol=2e-5)
    assert (binary >= 0).all()


@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=1, max_size=4), st.floats(0, 0.99))
def test_smoothing_keeps_sums_and_order(labels, smoothing):
    y = np.float32(labels)
    smoothed = losses.smooth(y, smoothing)
    np.testing.assert_allclose(smoothed.sum(-1), y.sum(-1), atol=1e-5)
    heavier = y[:, 0] >= y[:, 1]
    assert (smoothed[:, 0] >= smoothed[:, 1])[heavier].all()
    np.testing.assert_array_equal(losses.smooth(y, 0), y)
    multi = losses.smooth(y, smoothing, multi_label=True)
    assert ((multi >= smoothing / 2 - 1e-6) & (multi <= 1 - smoothing / 2 + 1e-6)).all()


@pytest.mark.parametrize("library", ways.MAKE)
def test_smoothed_labels_are_fresh_and_float32(library):
    for dtype, want in (("uint8", "float32"), ("float16", "float32"), ("float64", "float64")):
        labels = ways.MAKE[library](np.eye(3).astype(dtype))
        smoothed = losses.smooth(labels, np.float64(0.1))
        assert ways.values(smoothed).dtype == (want if library != "jax" else "float32")
    y = np.eye(3, dtype=np.float32)
    assert not np.shares_memory(losses.smooth(y, 0), y)


N = np.zeros((5, 4), np.float32)


def mean(_, y):
    """A loss that returns the mean of the batch."""
    return tf.reduce_mean(y) if isinstance(y, tf.Tensor) else y.mean()


@per_loss
@pytest.mark.parametrize(
    ("logits", "labels", "error", "sentence"),
    [
        (
            N,
            np.arange(5),
            ValueError,
            r"labels: expected a weight for each class, \(5, 4\) .*, got class ids \(5,\); convert",
        ),
        (N, np.arange(5)[:, None], ValueError, r"got class ids \(5, 1\); .* with mix.labels\(y, num_classes=\)"),
        (N, np.zeros((5, 3)), ValueError, r"\(5, 4\) like the logits, got \(5, 3\); move the classes to the last axis"),
        (N, np.zeros((5, 1)), ValueError, r"got \(5, 1\)"),
        (N, np.zeros((1, 4)), ValueError, r"got \(1, 4\)"),
        (N, np.zeros(5), ValueError, r"got \(5,\)"),
        (N, np.zeros((5, 4, 1)), ValueError, r"got \(5, 4, 1\)"),
        (
            np.arange(5),
            np.arange(5),
            TypeError,
            "logits: expected float16, .*float64, got int64; pass the output of the network",
        ),
        (np.float32(1), np.float32(1), ValueError, r"logits: expected a value for each class, .* got a scalar"),
        (N, np.full((5, 4), "a"), TypeError, "labels: expected integers, bools or float16.*, got str"),
        (N, [[0.5] * 4] * 5, TypeError, "labels: expected an array of NumPy, .* got list; convert it first"),
        (N, tf.zeros((5, 4)), TypeError, "one library, got NumPy for 'logits' and TensorFlow for 'labels'"),
    ],
)
def test_what_the_losses_refuse(name, logits, labels, error, sentence):
    with pytest.raises(error, match=sentence):
        LOSSES[name][0](logits, labels)


@pytest.mark.parametrize(
    ("loss", "parts", "lam", "error", "sentence"),
    [
        (
            None,
            np.zeros((2, 5)),
            np.zeros((3, 5)),
            ValueError,
            r"expected \(k, n, ...\) and \(k, n\), .*mix.per_source\(y\)",
        ),
        (None, np.zeros((2, 5)), np.zeros((2, 4)), ValueError, r"got \(2, 5\) and \(2, 4\)"),
        (None, np.zeros((2, 5)), np.zeros(2), ValueError, r"got \(2, 5\) and \(2,\)"),
        (None, np.zeros(2), np.zeros((2, 5)), ValueError, r"got \(2,\) and \(2, 5\)"),
        (None, np.zeros((0, 5)), np.zeros((0, 5)), ValueError, "k known and at least 1"),
        (
            None,
            np.zeros((2, 5)),
            tf.zeros((2, 5)),
            TypeError,
            "one library, got NumPy for 'per_source' and TensorFlow for",
        ),
        (
            mean,
            N[:2],
            N[:2],
            ValueError,
            r"a value for each sample, \(4,\), got \(\); pass reduction='none'",
        ),
        (
            lambda *xy: xy[1][:3],
            N[:2],
            N[:2],
            ValueError,
            r"loss: expected a value for each sample, \(4,\), got \(3,\)",
        ),
        (lambda *_: 0.5, N[:2], N[:2], TypeError, "loss: expected an array of NumPy, .* got float"),
        (lambda *_: tf.zeros(4), N[:2], N[:2], TypeError, "got TensorFlow for 'loss' and NumPy for 'lam'"),
        (
            losses.cross_entropy,
            np.zeros((2, 5), int),
            np.zeros((2, 5)),
            ValueError,
            "a loss for class ids, in mixed_criterion",
        ),
    ],
)
def test_what_a_loss_on_parts_refuses(loss, parts, lam, error, sentence):
    with pytest.raises(error, match=sentence):
        losses.mixed_criterion(loss, N, parts, lam)


@pytest.mark.parametrize("library", ways.MAKE)
def test_a_mean_is_refused_in_every_library(library):
    make = ways.MAKE[library]
    with pytest.raises(ValueError, match="the mean of a batch cannot be weighted by sample"):
        losses.mixed_criterion(mean, None, make(N), make(N))


@pytest.mark.parametrize(
    ("labels", "options", "error", "sentence"),
    [
        (N, {"smoothing": 1}, ValueError, "smoothing: expected a number from 0 to below 1, got 1; pass 0.1"),
        (N, {"smoothing": -0.1}, ValueError, "got -0.1"),
        (N, {"smoothing": float("nan")}, ValueError, "got nan"),
        (N, {"smoothing": True}, ValueError, "got True"),
        (N, {"smoothing": "0.1"}, ValueError, "got '0.1'"),
        (np.arange(5), {}, ValueError, r"got int64 \(5,\), which may be class ids; convert them with mix.labels"),
        (np.arange(5)[:, None], {}, ValueError, r"got int64 \(5, 1\), which may be class ids"),
        (np.arange(5), {"multi_label": True}, ValueError, "may be class ids"),
        (np.float32(1), {}, ValueError, "expected a weight for each class"),
        (np.full((5, 4), "a"), {}, TypeError, "labels: expected integers, bools"),
        ([[1, 0]], {}, TypeError, "labels: expected an array of NumPy"),
    ],
)
def test_what_smoothing_refuses(labels, options, error, sentence):
    with pytest.raises(error, match=sentence):
        losses.smooth(labels, **{"smoothing": 0.1, **options})


def test_what_is_unknown_until_run_time_is_refused_or_taken():
    def traced(function, *specs):
        return tf.function(function).get_concrete_function(*specs)

    unknown = tf.TensorSpec(None, tf.float32)
    with pytest.raises(ValueError, match="expected a tensor of known rank"):
        traced(losses.cross_entropy, unknown, unknown)
    with pytest.raises(ValueError, match="k known and at least 1"):
        traced(lambda p, s: losses.mixed_criterion(losses.cross_entropy, p[0], p, s), *[tf.TensorSpec([None, 5])] * 2)
    wide = tf.TensorSpec([None, None], tf.float32)
    loss = traced(losses.binary_cross_entropy, wide, wide)(tf.constant(LOGITS), tf.constant(HOTS))
    np.testing.assert_allclose(loss, defined("binary", LOGITS, HOTS), atol=4e-6)
    smoothed = traced(lambda y: losses.smooth(y, 0.1), wide)(tf.constant(LABELS))
    np.testing.assert_allclose(smoothed, losses.smooth(LABELS, 0.1), atol=1e-7)


def test_one_column_is_one_class_of_multi_label_targets():
    column = losses.smooth(np.array([[0], [1]]), 0.2, multi_label=True)
    np.testing.assert_allclose(column, [[0.1], [0.9]], atol=1e-7)
