"""Keras: the dataset under every kind of worker, the callback, the layer.

Runs on the backend that KERAS_BACKEND names; `test_keras_backends.py` runs it on the others.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.pool import ThreadPool

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest

import mixaug as ma
import ways

tf = ways.tf
N, BATCH = 22, 4
X = np.random.default_rng(0).integers(0, 256, (N, 8, 6, 3), np.uint8)
Y = np.arange(N)


class Recorder(keras.Model):
    """A model that writes down what `fit` feeds it; each batch says by its labels what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = keras.layers.Flatten()
        self.seen: list[list[np.ndarray]] = []

    def call(self, images):
        return self.flat(images)

    def train_step(self, *args):
        images, labels = map(keras.ops.convert_to_numpy, args[-1][:2])
        self.seen[-1].append(np.concatenate([labels, images.reshape(len(labels), -1)], axis=1))
        logs = {"loss": keras.ops.zeros(())}
        return logs if len(args) == 1 else (logs, args[0])  # on the JAX backend the state goes through it


class Turn(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.model.seen.append([])


def fed(dataset, epochs: int = 3, shuffle: bool = False, callbacks=(), **options) -> list[list[np.ndarray]]:
    """What `fit` sees. The model is not built, so that Keras looks at a batch first on those backends where it has to,
    but for datasets with workers: it would lose that batch.
    """
    model = Recorder()
    if getattr(dataset, "workers", 0) > 1:
        model(X)
    model.compile(run_eagerly=True, jit_compile=False)
    model.fit(dataset, epochs=epochs, verbose=0, shuffle=shuffle, callbacks=[*callbacks, Turn()], **options)
    return model.seen


def expected(epoch: int, seed: int = 0) -> list[np.ndarray]:
    stream = list(ma.batches(ma.CutMix(), X, Y, BATCH, seed=seed, epochs=epoch + 1, num_classes=N))[-6:]
    return [np.concatenate([labels, images.reshape(len(labels), -1)], axis=1) for images, labels in stream]


def dataset(**options) -> ma.keras.MixedDataset:
    return ma.keras.MixedDataset(ma.CutMix(), X, Y, BATCH, num_classes=N, **options)


def assert_epochs(got, epochs) -> None:
    assert len(got) == len(epochs)
    for batches, epoch in zip(got, epochs, strict=True):
        for batch, want in zip(batches, expected(epoch), strict=True):
            np.testing.assert_array_equal(batch, want)


@pytest.mark.parametrize(
    "workers",
    [{"workers": 0}, {"workers": 4}, pytest.param({"workers": 4, "use_multiprocessing": True}, marks=pytest.mark.full)],
    ids=str,
)
def test_fit_sees_the_batches_of_ma_batches_whatever_the_workers(workers):
    """The first epoch is epoch 0, though Keras calls on_epoch_end once before it."""
    ds = dataset(**workers)
    assert_epochs(fed(ds), [0, 1, 2])
    assert ds.epoch == 3


def test_batches_by_index_are_the_same_in_any_order():
    ds = dataset()
    for index in (5, 0, 3):
        images, labels = ds[index]
        np.testing.assert_array_equal(
            np.concatenate([labels, images.reshape(len(labels), -1)], axis=1), expected(0)[index]
        )
    ds.epoch = 2
    np.testing.assert_array_equal(ds[1][1], expected(2)[1][:, :N])
    with pytest.raises(IndexError, match=r"expected a batch number in 0\.\.5, got 6"):
        ds[6]


def test_workers_that_start_before_keras_begins_the_epoch_read_that_epoch():
    """Keras ends an epoch before the first one, starts its workers, and then begins the epoch."""
    ds = dataset()
    ds.on_epoch_end()
    with ThreadPool(1) as worker, multiprocessing.Pool(1, initializer=_share, initargs=(ds,)) as process:
        assert worker.apply(lambda: ds.epoch) == process.apply(_shared_epoch) == 0
        early = worker.apply(ds.__getitem__, (0,))
        np.testing.assert_array_equal(early[1], expected(0)[0][:, :N])
        ds.on_epoch_begin()
        for index in range(1, len(ds)):
            worker.apply(ds.__getitem__, (index,))
        ds.on_epoch_end()
        assert worker.apply(lambda: ds.epoch) == ds.epoch == 1


def test_a_loop_of_ones_own_counts_by_the_ends_of_its_epochs():
    ds = dataset()
    for epoch in range(3):
        np.testing.assert_array_equal(ds[0][1], expected(epoch)[0][:, :N])
        ds.on_epoch_end()


_SHARED: list[ma.keras.MixedDataset] = []


def _share(ds):
    _SHARED[:] = [ds]


def _shared_epoch():
    return _SHARED[0].epoch


@pytest.mark.parametrize("workers", [{"workers": 0}, {"workers": 2, "use_multiprocessing": True}], ids=str)
def test_set_epoch_goes_on_where_a_run_stopped(workers):
    ds = dataset(**workers)
    assert_epochs(fed(ds, epochs=3, initial_epoch=1, callbacks=[ma.keras.SetEpoch(ds)]), [1, 2])


def test_fit_twice_goes_on_counting():
    ds = dataset(workers=0)
    fed(ds, epochs=1)
    assert_epochs(fed(ds, epochs=2), [1, 2])


def test_shuffle_true_shuffles_only_the_order_of_batches():
    batches = fed(dataset(workers=0), epochs=1, shuffle=True)[0]
    assert {batch.tobytes() for batch in batches} == {want.astype(batches[0].dtype).tobytes() for want in expected(0)}


class Generator(keras.utils.PyDataset):
    """An image generator of its own kind: it darkens as its epochs go by."""

    def __init__(self):
        super().__init__()
        self.ended = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = slice(index * 5, index * 5 + 5)
        return X[rows] // (self.ended + 1), Y[rows]

    def on_epoch_end(self):
        self.ended += 1


def test_another_dataset_is_wrapped_and_keeps_its_own_epochs():
    inner = Generator()
    ds = ma.keras.MixedDataset(ma.MixUp(sources=3), inner, num_classes=N, seed=2)
    assert len(ds) == 2
    seen = fed(ds, epochs=2)
    assert inner.ended == 3  # Keras' call before the first epoch reaches it as it would without us
    for epoch in range(2):
        for index in range(2):
            rows = slice(index * 5, index * 5 + 5)
            mixed = ma.mix_batch(
                ma.MixUp(sources=3), (X[rows] // (epoch + 2), Y[rows]), key=(2, epoch, index), num_classes=N
            )
            np.testing.assert_array_equal(seen[epoch][index][:, :N], mixed[1])
            np.testing.assert_array_equal(seen[epoch][index][:, N:], mixed[0].reshape(5, -1))


def test_keras_own_image_generator_is_wrapped():
    flips = tf.keras.preprocessing.image.ImageDataGenerator(horizontal_flip=True, width_shift_range=2)
    flow = flips.flow(ways.own_class_everywhere(N, (6, 5)), Y, batch_size=5, seed=0)
    ds = ma.keras.MixedDataset(ma.CutMix(), flow, num_classes=N)
    batches = [ds[index] for index in range(len(ds))]
    assert [len(labels) for _, labels in batches] == [5, 5, 5, 5, 2]
    for images, labels in batches:
        np.testing.assert_allclose(images.mean(axis=(1, 2)), labels, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: ma.keras.MixedDataset(X, Y, BATCH),
            TypeError,
            "recipe: expected a recipe first, before the data, got ndarray",
        ),
        (
            lambda: ma.keras.MixedDataset(ma.CutMix(), list(X), Y, BATCH),
            ValueError,
            "expected the same number of rows in x, y and sample_weight",
        ),
        (lambda: ma.keras.MixedDataset(ma.CutMix(), X, Y[:3], BATCH), ValueError, "got 22 and 3"),
        (lambda: ma.keras.MixedDataset(ma.CutMix(), X, Y, None), ValueError, "batch_size: expected a whole number"),
        (
            lambda: ma.keras.MixedDataset(ma.CutMix(), Generator(), Y),
            ValueError,
            "expected a PyDataset alone, .* got y= too; leave them out",
        ),
        (lambda: ma.keras.SetEpoch(3), TypeError, "SetEpoch: expected variables or objects with an epoch, got int"),
    ],
)
def test_what_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


def test_set_epoch_sets_variables_and_datasets():
    variable, ds = tf.Variable(0, dtype=tf.int64), dataset()
    ma.keras.SetEpoch(variable, ds).on_epoch_begin(4)
    assert (int(variable), ds.epoch) == (4, 4)


def test_a_tf_dataset_with_a_variable_under_fit():
    epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
    ds = tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH)
    seen = fed(ds.apply(ma.tf.mixed(ma.CutMix(), num_classes=N, epoch=epoch)), 2, callbacks=[ma.keras.SetEpoch(epoch)])
    for turn, batches in enumerate(seen):
        for step, batch in enumerate(batches):
            rows = slice(step * BATCH, (step + 1) * BATCH)
            mixed = ma.mix_batch(ma.CutMix(), (X[rows], Y[rows]), key=(0, turn, step), num_classes=N)
            np.testing.assert_allclose(batch[:, :N], mixed[1], atol=1e-7)
            np.testing.assert_array_equal(batch[:, N:], mixed[0].reshape(len(batch), -1))


# --- the layer


def batch(dtype: str = "uint8") -> dict[str, np.ndarray]:
    return {"images": X.astype(dtype), "labels": Y}


def mixed_by_numpy(step: int, seed: int = 0, dtype: str = "uint8") -> dict[str, np.ndarray]:
    return ma.mix_batch(ma.CutMix(), batch(dtype), key=(seed, step), num_classes=N)


def assert_layer(out, want) -> None:
    np.testing.assert_array_equal(ways.values(out["images"]), want["images"])
    np.testing.assert_allclose(ways.values(out["labels"]), want["labels"], atol=1e-7)


def dtypes(out) -> tuple[str, str]:
    return tuple(keras.backend.standardize_dtype(out[name].dtype) for name in ("images", "labels"))


BACKEND = ways.ARRAYS[{"tensorflow": "tf"}.get(keras.backend.backend(), keras.backend.backend())]
DTYPES = ["uint8", "float16", "float32", *([] if keras.backend.backend() == "jax" else ["float64"])]


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
@pytest.mark.parametrize("shape", ways.SIZES[::2], ids=str)
def test_the_layer_mixes_as_numpy_does(recipe, shape):
    """The invariants' row for Keras: the backend's tensors, the mix of every other library."""
    n, size = shape
    x, y = ways.own_class_everywhere(n, size), np.arange(n)
    fields = {"images": ma.Images(ways.layout_of(x))}
    layer = ma.keras.MixLayer(recipe, num_classes=n, seed=3, fields=fields)
    out = layer({"images": x, "labels": y, "step": np.int32(5)})
    assert type(out["images"]) is type(out["labels"])
    assert isinstance(out["images"], BACKEND)
    images, labels = ways.values(out["images"]), ways.values(out["labels"])
    assert (images.dtype, images.shape, labels.dtype, labels.shape) == (x.dtype, x.shape, np.float32, (n, n))
    ways.assert_label_is_the_pixels(images, labels)
    want = ma.mix_batch(recipe, (x, y), key=(3, 5), num_classes=n, fields=fields)
    np.testing.assert_allclose(images, want[0], atol=1e-6)
    np.testing.assert_allclose(labels, want[1], atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_layer_counts_its_calls_and_keeps_the_dtype(dtype):
    layer = ma.keras.MixLayer(ma.CutMix(), num_classes=N, seed=8)
    for step in range(3):
        out = layer(batch(dtype))
        assert dtypes(out) == (dtype, "float32")
        assert_layer(out, mixed_by_numpy(step, 8, dtype))
    assert int(layer.step) == 3


def test_the_layer_takes_a_step():
    layer = ma.keras.MixLayer(ma.CutMix(), num_classes=N)
    assert_layer(layer({**batch(), "step": np.int64(41)}), mixed_by_numpy(41))
    assert int(layer.step) == 0


def test_the_layer_in_a_map():
    """On whichever backend: a plain layer would refuse TensorFlow's tensors there."""
    layer = ma.keras.MixLayer(ma.CutMix(), num_classes=N)
    ds = tf.data.Dataset.from_tensors(batch()).repeat(3).map(layer)
    assert ds.element_spec["labels"].shape.as_list() == [N, N]
    for step, out in enumerate(ds):
        assert isinstance(out["images"], tf.Tensor)
        assert_layer(out, mixed_by_numpy(step))
    numbered = tf.data.Dataset.from_tensors(batch()).repeat(4).enumerate().map(lambda i, b: layer({**b, "step": i}), 4)
    for step, out in enumerate(numbered):
        assert_layer(out, mixed_by_numpy(step))


def test_channels_are_where_keras_keeps_them():
    planar = {"images": np.moveaxis(X, -1, 1), "labels": Y}
    keras.config.set_image_data_format("channels_first")
    try:
        out = ma.keras.MixLayer(ma.CutMix(), num_classes=N)(planar)
    finally:
        keras.config.set_image_data_format("channels_last")
    want = mixed_by_numpy(0)
    assert_layer(out, {"images": np.moveaxis(want["images"], -1, 1), "labels": want["labels"]})


def test_the_layer_passes_when_not_training():
    out = ma.keras.MixLayer(ma.CutMix(), num_classes=N)(batch(), training=False)
    np.testing.assert_array_equal(ways.values(out["images"]), X)
    np.testing.assert_array_equal(ways.values(out["labels"]), np.eye(N, dtype=np.float32))


def test_the_layer_under_mixed_precision_keeps_labels_float32():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        out = ma.keras.MixLayer(ma.CutMix(), num_classes=N)(batch("float32"))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert dtypes(out) == ("float32", "float32")


def test_the_layer_survives_a_file(tmp_path):
    images, labels = keras.Input((8, 6, 3), dtype="uint8"), keras.Input((), dtype="int64")
    layer = ma.keras.MixLayer(ma.one_of(ma.CutMix(), ma.MixUp(0.2, 3)), num_classes=N, seed=5, name="mix")
    out = layer({"images": images, "labels": labels})
    assert out["labels"].shape == (None, N)
    model = keras.Model([images, labels], out)
    model([X, Y], training=True)
    model.save(tmp_path / "m.keras")
    back = keras.models.load_model(tmp_path / "m.keras")
    assert back.get_layer("mix").recipe == layer.recipe
    assert int(back.get_layer("mix").step) == int(layer.step) >= 1
    assert_layer(back([X, Y], training=True), model([X, Y], training=True))


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"recipe": "cutmx"}, "did you mean cutmix"),
        ({"recipe": 3}, "recipe: expected a recipe first, before the data, got 3"),
    ],
)
def test_a_layer_of_no_recipe_is_refused(config, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        ma.keras.MixLayer(**config)
