"""`ma.keras.MixedDataset(sample_weight=...)`: what Keras' `fit` reads as the third part of each batch."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest

import mixaug as ma
import ways

N, C, SIZE = 9, 3, (5, 6)
X, IDS = ways.own_class_everywhere(N, SIZE), np.arange(N) % C
OWN, TABLE = np.float32([1, 0, 2, 3, 1, 4, 0.5, 7, 2]), [0.5, 1.0, 4.0]
RECIPE = ma.one_of(ma.CutMix(), ma.MixUp(alpha=1.0, sources=3))
OPTIONS = {"seed": 3, "num_classes": C}


def of_pixels(images, weights=OWN) -> np.ndarray:
    """The weights of the samples that the pixels are of."""
    return images.mean(axis=(1, 2), dtype=np.float64) @ weights


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("column", [False, True], ids=["(n,)", "(n, 1)"])
def test_batches_are_triples_whose_weights_are_those_of_the_pixels(column, dtype):
    own = np.round(OWN * 2).astype(dtype)
    own = own[:, None] if column else own
    ds = ma.keras.MixedDataset(RECIPE, X, IDS, 4, sample_weight=own, **OPTIONS)
    for epoch in range(2):
        stream = list(ma.batches(RECIPE, X, IDS, 4, epochs=2, sample_weight=own, **OPTIONS))[3 * epoch :]
        for index in range(3):
            images, labels, weights = ds[index]
            assert weights.dtype == ("float64" if dtype == "float64" else "float32")
            assert weights.shape == (len(images), *own.shape[1:])
            np.testing.assert_allclose(weights.reshape(-1), of_pixels(images, own.reshape(-1)), atol=1e-5)
            for got, want in zip((images, labels, weights), stream[index], strict=True):
                np.testing.assert_array_equal(got, want)
        ds.epoch = 1


@pytest.mark.parametrize("fields", [None, ("images", ma.Labels(C)), ("images", None), {"labels": "labels"}], ids=str)
def test_class_weights_multiply_them(fields):
    ds = ma.keras.MixedDataset(RECIPE, X, IDS, 9, sample_weight=OWN, class_weights=TABLE, fields=fields, **OPTIONS)
    images, _, weights = ds[0]
    np.testing.assert_allclose(weights, of_pixels(images) * of_pixels(images, np.array(TABLE)[IDS]), atol=1e-4)


def test_inputs_and_targets_in_dicts_have_one_weight_or_one_a_target():
    x, y = {"image": X, "id": np.arange(N)}, {"kind": IDS, "value": OWN * 3}
    fields = {"id": "keep", "labels/kind": "labels", "labels/value": "values"}
    ds = ma.keras.MixedDataset(RECIPE, x, y, 9, sample_weight=OWN, fields=fields, **OPTIONS)
    inputs, _, weights = ds[0]
    np.testing.assert_allclose(weights, of_pixels(inputs["image"]), atol=1e-5)
    apart = {"kind": OWN, "value": OWN[::-1].copy()}
    ds = ma.keras.MixedDataset(RECIPE, x, y, 9, sample_weight=apart, fields=fields, **OPTIONS)
    inputs, targets, weights = ds[0]
    assert list(weights) == list(targets) == ["kind", "value"]
    np.testing.assert_allclose(weights["kind"], of_pixels(inputs["image"]), atol=1e-5)
    np.testing.assert_allclose(weights["value"], of_pixels(inputs["image"], OWN[::-1]), atol=1e-5)
    with pytest.raises(ValueError, match=r"expected one field of sample weights or none, got .*multiply them after"):
        ma.keras.MixedDataset(
            RECIPE, x, y, 9, sample_weight=apart, fields=fields, class_weights={"kind": TABLE}, **OPTIONS
        )
    one = {"kind": OWN}
    options = {"sample_weight": one, "class_weights": TABLE, **OPTIONS}
    inputs, _, weights = ma.keras.MixedDataset(RECIPE, x, {"label": IDS}, 9, fields={"id": "keep"}, **options)[0]
    want = of_pixels(inputs["image"]) * of_pixels(inputs["image"], np.array(TABLE)[IDS])
    np.testing.assert_allclose(weights["kind"], want, atol=1e-4)


def model(outputs=("kind",)) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input((*SIZE, N))
    flat = keras.layers.Flatten()(image)
    made = keras.Model(image, {name: keras.layers.Dense(C, name=name)(flat) for name in outputs})
    loss = {name: keras.losses.CategoricalCrossentropy(from_logits=True) for name in outputs}
    made.compile(keras.optimizers.SGD(0.0), loss)
    return made


@pytest.mark.parametrize("workers", [{}, {"workers": 2}, {"workers": 2, "use_multiprocessing": True}], ids=str)
def test_unmixed_fit_weighs_as_with_its_own_sample_weight(workers):
    rows, options = keras.utils.to_categorical(IDS, C), {"verbose": 0, "shuffle": False}
    y, weights = {"kind": rows}, {"kind": OWN}
    want = model().fit(X, y, sample_weight=weights, batch_size=3, **options).history["loss"]
    plain = model().fit(X, y, batch_size=3, **options).history["loss"]
    ds = ma.keras.MixedDataset("identity", X, y, 3, sample_weight=weights, fields={"kind": "labels"}, **workers)
    assert abs(want[0] - plain[0]) > 0.1
    np.testing.assert_allclose(model().fit(ds, **options).history["loss"], want, rtol=1e-5)


def test_fit_of_two_targets_takes_a_weight_for_each():
    rows, options = keras.utils.to_categorical(IDS, C), {"verbose": 0, "shuffle": False}
    y, weights = {"kind": rows, "other": rows}, {"kind": OWN, "other": OWN[::-1].copy()}
    want = model(y).fit(X, y, sample_weight=weights, batch_size=N, **options).history
    fields = {"labels/kind": "labels", "labels/other": "labels"}
    ds = ma.keras.MixedDataset("identity", X, y, N, sample_weight=weights, fields=fields)
    got = model(y).fit(ds, **options).history
    assert want.keys() == got.keys()
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-5)


class Generator(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = slice(index * 5, index * 5 + 5)
        return X[rows], IDS[rows], OWN[rows]


def test_a_wrapped_dataset_brings_its_own_and_refuses_others():
    sentence = r"expected a PyDataset alone, .* got sample_weight= too; leave them out, and add to its batches what"
    with pytest.raises(ValueError, match=sentence):
        ma.keras.MixedDataset(RECIPE, Generator(), sample_weight=OWN, num_classes=C)
    with pytest.raises(ValueError, match="got y= and batch_size= and sample_weight= too"):
        ma.keras.MixedDataset(RECIPE, Generator(), IDS, 4, sample_weight=OWN, num_classes=C)
    ds = ma.keras.MixedDataset(RECIPE, Generator(), num_classes=C)  # the way out
    for index in range(2):
        images, _, weights = ds[index]
        np.testing.assert_allclose(weights, of_pixels(images), atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "error", "sentence"),
    [
        (OWN[:5], ValueError, "rows in x, y and sample_weight, .* got 9 and 9 and 5"),
        (OWN.tolist(), TypeError, "sample_weight: expected a NumPy array with rows, got list; convert it first"),
        ({"kind": OWN[:5]}, ValueError, "got 9 and 9 and 5"),
        (np.float32(2), TypeError, "sample_weight: expected a NumPy array with rows, got float32; convert it first"),
    ],
    ids=["short", "list", "short in a dict", "number"],
)
def test_weights_that_do_not_fit_are_refused(weights, error, sentence):
    with pytest.raises(error, match=sentence):
        ma.keras.MixedDataset(RECIPE, X, IDS, 4, sample_weight=weights, num_classes=C)
