"""Metrics: cases with known results in every library, the accumulator, the Keras metrics, every error."""

from __future__ import annotations

import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import jax
import jax.numpy as jnp
import keras
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mixaug as ma
import ways
from mixaug import metrics

tf = ways.tf
LOGITS = np.float32([[-1, 2, 0], [3, 0, 1], [0, 0.5, 0.25], [5, 4, 6], [1, 0, 0]])  # predicts 1 0 1 2 0
LABELS = np.float32([[0.75, 0.25, 0], [1, 0, 0], [0.25, 0.5, 0.25], [0.5, 0, 0.5], [0, 0, 0]])
MIXED, HEAVIEST = np.float32([0.25, 1, 0.5, 0.5, 0]), np.float32([0, 1, 1, 1, 0])
IDS, RIGHT = np.array([1, 0, 2, 2, 1]), np.float32([1, 1, 0, 1, 0])

per_way = pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
per_library = pytest.mark.parametrize("library", ways.MAKE)


def both(logits, labels):
    return metrics.mixed_accuracy(logits, labels), metrics.heaviest_accuracy(logits, labels)


@per_way
def test_every_library_gives_both(way):
    mixed, heaviest = way(both, LOGITS, LABELS)
    ways.assert_same(mixed, MIXED, ways.array_of(way))
    ways.assert_same(heaviest, HEAVIEST, ways.array_of(way))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("shape", [(5,), (5, 1)], ids=str)
@per_library
def test_class_ids_have_weight_1(library, shape, dtype):
    make = ways.MAKE[library]
    for got in both(make(LOGITS), make(IDS.astype(dtype).reshape(shape))):
        ways.assert_same(got, RIGHT, type(make(LOGITS)))


@per_way
def test_class_ids_in_compiled_code(way):
    for got in way(both, LOGITS, IDS):
        ways.assert_same(got, RIGHT, ways.array_of(way))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float16, ml_dtypes.bfloat16, np.float64])
@per_library
def test_labels_and_logits_of_any_dtype(library, dtype):
    make = ways.MAKE[library]
    labels = np.eye(3)[IDS].astype(dtype)
    for got in both(make(LOGITS.astype(ml_dtypes.bfloat16)), make(labels)):
        np.testing.assert_array_equal(ways.values(got), RIGHT)
    mixed, heaviest = both(make(LOGITS), make(labels))
    wide = dtype is np.float64 and library != "jax"
    assert ways.values(mixed).dtype == (np.float64 if wide else np.float32)
    assert ways.values(heaviest).dtype == np.float32


@per_library
def test_the_first_of_equal_logits_is_predicted(library):
    make = ways.MAKE[library]
    mixed = metrics.mixed_accuracy(make(np.zeros((2, 3), np.float32)), make(np.float32([[0.75, 0.25, 0], [0, 0, 1]])))
    np.testing.assert_array_equal(ways.values(mixed), [0.75, 0])


def test_pixels_have_their_accuracies():
    logits, labels, ids = (np.stack([x, x[::-1]], 1) for x in (LOGITS, LABELS, IDS))
    for got, want in zip(both(logits, labels), (MIXED, HEAVIEST), strict=True):
        np.testing.assert_array_equal(got, np.stack([want, want[::-1]], 1))
    for got in both(logits, ids):
        np.testing.assert_array_equal(got, np.stack([RIGHT, RIGHT[::-1]], 1))


def test_vmap_gives_the_rows():
    np.testing.assert_array_equal(jax.vmap(metrics.mixed_accuracy)(jnp.asarray(LOGITS), jnp.asarray(LABELS)), MIXED)
    np.testing.assert_array_equal(jax.vmap(metrics.mixed_accuracy)(jnp.asarray(LOGITS), jnp.asarray(IDS)), RIGHT)


@per_library
def test_a_row_of_nan_is_seen(library):
    """NaN is the label of a class id out of range in traced code."""
    make = ways.MAKE[library]
    labels = np.concatenate([LABELS[:4], np.full((1, 3), np.nan, np.float32)])
    mixed = ways.values(metrics.mixed_accuracy(make(LOGITS), make(labels)))
    np.testing.assert_array_equal(np.isnan(mixed), [False] * 4 + [True])


@given(st.lists(st.tuples(st.permutations([0.0, 1.0, 2.0]), st.permutations([0, 1, 2, 2])), min_size=1, max_size=5))
def test_laws_of_the_metrics(rows):
    """Class numbers do not matter; the greatest weight is the maximum; for one-hot labels both are the accuracy."""
    logits = np.float32([x for x, _ in rows])
    labels = np.float32([y[:3] for _, y in rows])
    labels /= labels.sum(-1, keepdims=True)
    mixed, heaviest = both(logits, labels)
    for order in ([1, 2, 0], [2, 1, 0]):
        for got, want in zip(both(logits[:, order], labels[:, order]), (mixed, heaviest), strict=True):
            np.testing.assert_array_equal(got, want)
    assert (mixed <= labels.max(-1)).all()
    np.testing.assert_array_equal(mixed == labels.max(-1), heaviest == 1)
    ids = labels.argmax(-1)
    want = logits.argmax(-1) == ids
    for given_labels in (ids, np.eye(3)[ids]):
        for got in both(logits, given_labels):
            np.testing.assert_array_equal(got, want)


def test_it_is_the_mean_label_weight_of_the_predicted_class():
    """A network that always predicts the base sample scores the mean of lam[0]."""
    mix = ma.CutMix().draw(8, (16, 16), key=(0, 0))
    mixed = metrics.mixed_accuracy(np.eye(8, dtype=np.float32), mix.labels(np.arange(8), 8))
    np.testing.assert_array_equal(mixed, mix.lam[0])


@per_library
def test_the_accumulator_is_the_mean_of_all_rows(library):
    make, metric = ways.MAKE[library], metrics.AccuracyMeter()
    metric.update(make(LOGITS), make(LABELS))
    metric.update(make(LOGITS[:1]), make(IDS[:1]))
    want = {"mixed_accuracy": (MIXED.sum() + 1) / 6, "accuracy": (HEAVIEST.sum() + 1) / 6}
    assert metric.compute() == pytest.approx(want)
    assert {type(value) for value in metric.compute().values()} == {float}
    metric.update(make(np.stack([LOGITS] * 2, 1)), make(np.stack([LABELS] * 2, 1)))  # each pixel counts as a row
    want = {"mixed_accuracy": (3 * MIXED.sum() + 1) / 16, "accuracy": (3 * HEAVIEST.sum() + 1) / 16}
    assert metric.compute() == pytest.approx(want)
    metric.reset()
    with pytest.raises(RuntimeError, match=r"expected at least one row, got none; call update\(logits, labels\) first"):
        metric.compute()
    metric.update(make(LOGITS), make(IDS))
    assert metric.compute() == pytest.approx({"mixed_accuracy": 0.6, "accuracy": 0.6})


def test_an_empty_batch_counts_no_rows():
    metric = metrics.AccuracyMeter()
    metric.update(LOGITS[:0], LABELS[:0])
    with pytest.raises(RuntimeError, match="expected at least one row"):
        metric.compute()


def test_thousands_of_batches_lose_nothing():
    """A float32 sum would have a relative error of 3e-5."""
    metric = metrics.AccuracyMeter()
    for _ in range(3000):
        metric.update(np.float32([[0, 1]]), np.float32([[0.9, 0.1]]))
    assert metric.compute() == {"mixed_accuracy": pytest.approx(0.1, rel=1e-7), "accuracy": 0}


def test_the_accumulator_keeps_arrays_without_gradients():
    """The state stays on the device and does not keep the batches' autograd graphs alive."""
    metric = metrics.AccuracyMeter()
    metric.update(torch.from_numpy(LOGITS).requires_grad_() * 2, torch.from_numpy(LABELS))
    assert all(isinstance(total, torch.Tensor) and not total.requires_grad for total in metric._sums)
    shape_only = torch.zeros(5, 3, device="meta")  # tensors without values: reading one would be an error
    metric = metrics.AccuracyMeter()
    metric.update(shape_only, shape_only)
    metric.update(shape_only, torch.zeros(5, dtype=torch.int64, device="meta"))


def test_another_library_or_device_is_refused():
    metric = metrics.AccuracyMeter()
    metric.update(LOGITS, LABELS)
    with pytest.raises(
        TypeError, match="PyTorch for 'logits' and NumPy for 'the previous batches'; convert one of them"
    ):
        metric.update(torch.from_numpy(LOGITS), torch.from_numpy(LABELS))


def test_an_update_that_was_compiled_is_refused():
    for compiled, make in ((jax.jit, jnp.asarray), (tf.function, tf.constant)):
        metric = metrics.AccuracyMeter()
        compiled(metric.update)(make(LOGITS), make(LABELS))
        with pytest.raises(TypeError, match="an update inside a compiled function; return the logits from it and call"):
            metric.compute()


@pytest.mark.parametrize("metric", [metrics.mixed_accuracy, metrics.heaviest_accuracy, metrics.AccuracyMeter().update])
@pytest.mark.parametrize(
    ("logits", "labels", "error", "sentence"),
    [
        (IDS, IDS, TypeError, "logits: expected float16, .* got int64; pass the output of the network"),
        (np.float32(1), IDS, ValueError, "logits: expected a value for each class"),
        (
            LOGITS,
            IDS.astype(np.float32),
            ValueError,
            r"expected a weight for each class, \(5, 3\) like the logits, got \(5,\)",
        ),
        (LOGITS, IDS[:4], ValueError, r"got \(4,\)"),
        (LOGITS, LABELS[:, :2], ValueError, r"got \(5, 2\); move the classes to the last axis"),
        (LOGITS, LABELS[:1], ValueError, r"got \(1, 3\)"),
        (LOGITS, np.full((5, 3), "a"), TypeError, "labels: expected integers, bools or float16"),
        (LOGITS, list(IDS), TypeError, "labels: expected an array of NumPy"),
        (LOGITS, tf.constant(LABELS), TypeError, "one library, got NumPy for 'logits' and TensorFlow for 'labels'"),
    ],
)
def test_what_the_metrics_refuse(metric, logits, labels, error, sentence):
    with pytest.raises(error, match=sentence):
        metric(logits, labels)


KERAS = {ma.keras.MixedAccuracy: MIXED, ma.keras.HeaviestAccuracy: HEAVIEST}


@pytest.mark.parametrize("cls", KERAS)
def test_keras_metrics(cls):
    metric = cls()
    metric.update_state(LABELS, LOGITS)  # NumPy's arrays
    metric.update_state(LABELS[:1], tf.constant(LOGITS[:1]))  # and of both
    values = np.append(KERAS[cls], KERAS[cls][0])
    assert float(metric.result()) == pytest.approx(values.mean())
    metric.reset_state()
    assert float(metric(LABELS, LOGITS, sample_weight=[1, 2, 1, 0, 0])) == pytest.approx(values[[0, 1, 1, 2]].mean())
    for ids in (IDS, IDS[:, None]):
        metric.reset_state()
        assert float(metric(ids, LOGITS)) == pytest.approx(0.6)
    pixels = [np.stack([x, x[::-1]], 1) for x in (LABELS, LOGITS)]
    metric.reset_state()
    assert float(metric(*pixels)) == pytest.approx(KERAS[cls].mean())


@pytest.mark.parametrize("cls", KERAS)
def test_keras_metrics_are_saved(cls):
    metric = cls(name="other", dtype="float32")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is cls
    assert (again.name, again.dtype) == ("other", "float32")
    assert cls.from_config(cls().get_config()).name == cls().name
    assert keras.saving.get_registered_name(cls) == f"mixaug>{cls.__name__}"


def test_heaviest_accuracy_is_keras_own_where_one_class_is_the_heaviest():
    rows = np.array([0, 1, 2])
    theirs = keras.metrics.categorical_accuracy(LABELS[rows], LOGITS[rows])
    np.testing.assert_array_equal(metrics.heaviest_accuracy(LOGITS, LABELS)[rows], theirs)


def test_a_model_with_the_metrics_is_trained_saved_and_loaded(tmp_path):
    """Logs equal the accumulator, validation may have soft labels or ids, callbacks know that higher is better."""
    x = np.random.default_rng(0).random((5, 4), np.float32)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[ma.keras.MixedAccuracy(), ma.keras.HeaviestAccuracy(name="accuracy")],
    )
    stop = keras.callbacks.EarlyStopping(monitor="val_mixed_accuracy", mode="auto", patience=9)
    options = {"batch_size": 2, "epochs": 1, "verbose": 0, "callbacks": [stop]}
    logs = model.fit(x, LABELS, validation_data=(x, np.eye(3)[IDS]), **options).history
    assert stop.monitor_op(2, 1)
    for start, labels in (("", LABELS), ("val_", IDS)):
        metric = metrics.AccuracyMeter()
        metric.update(model(x), tf.constant(labels))
        assert {name: logs[start + name][0] for name in metric.compute()} == pytest.approx(metric.compute())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(x, LABELS, verbose=0) == pytest.approx(model.evaluate(x, LABELS, verbose=0))
    assert [type(metric) for metric in loaded.metrics[1].metrics] == [ma.keras.MixedAccuracy, ma.keras.HeaviestAccuracy]


FIT = """
import keras, numpy as np, mixaug as ma
x = np.random.default_rng(0).random((5, 4), np.float32)
y = np.float32([[0.75, 0.25, 0], [1, 0, 0], [0.25, 0.5, 0.25], [0.5, 0, 0.5], [0, 0, 1]])
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True),
              metrics=[ma.keras.MixedAccuracy(), ma.keras.HeaviestAccuracy()])
model.fit(x, y, batch_size=2, verbose=0)
logs = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
logits = model.predict(x, verbose=0)
for function in (ma.metrics.mixed_accuracy, ma.metrics.heaviest_accuracy):
    np.testing.assert_allclose(logs[function.__name__], function(logits, y).mean(), rtol=1e-6)
np.testing.assert_allclose(logs["loss"], ma.losses.cross_entropy(logits, y).mean(), rtol=1e-5)
x = np.ascontiguousarray(np.broadcast_to(np.eye(5, dtype="float32")[:, None, None], (5, 9, 7, 5)))
recipe, fields = ma.one_of(ma.CutMix(), ma.MixUp(sources=3)), {"images": ma.Images("nhwc")}
out = ma.keras.MixLayer(recipe, num_classes=5, seed=3, fields=fields)({"images": x, "labels": np.arange(5)})
want = ma.mix_batch(recipe, (x, np.arange(5)), key=(3, 0), num_classes=5, fields=fields)
for name, array in zip(("images", "labels"), want):
    np.testing.assert_allclose(keras.ops.convert_to_numpy(out[name]), array, atol=1e-6)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_of_keras(backend):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
