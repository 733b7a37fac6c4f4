"""Nothing repeats by accident: every epoch, worker, rank and pass draws different mixes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.utils.data import DataLoader, TensorDataset, default_collate

import mixaug as ma

N = 24
DATA = TensorDataset(torch.zeros(N, 1, 8, 8), torch.arange(N))
DRAWN_ONCE = ma.per_batch(ma.MixUp())


def lams(transform, epochs=3, **options) -> list[float]:
    loader = DataLoader(DATA, batch_size=6, collate_fn=lambda rows: transform(*default_collate(rows)), **options)
    return [round(float(labels[0].max()), 6) for _ in range(epochs) for _, labels in loader]


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("make", [
    lambda: ma.torch.Mixed(DRAWN_ONCE, num_classes=N), lambda: ma.timm.Mixup(num_classes=N, label_smoothing=0.0),
], ids=["Mixed", "timm.Mixup"])  # fmt: skip
def test_a_transform_in_workers_differs_in_each_worker_and_epoch(make, persistent):
    assert len(set(lams(make(), num_workers=2, persistent_workers=persistent))) == 12


def test_a_collate_function_differs_in_each_epoch_of_persistent_workers():
    mixing = ma.torch.MixingCollate(DRAWN_ONCE, num_classes=N)
    loader = DataLoader(DATA, batch_size=6, collate_fn=mixing, num_workers=2, persistent_workers=True)
    assert len({round(float(y[0].max()), 6) for _ in range(3) for _, y in loader}) == 12


@pytest.mark.parametrize("make", [
    lambda: ma.torch.Mixed(ma.MixUp(), num_classes=N), lambda: ma.timm.Mixup(num_classes=N),
    lambda: ma.torch.MixingCollate(ma.MixUp(), num_classes=N),
], ids=["Mixed", "timm.Mixup", "MixingCollate"])  # fmt: skip
def test_ranks_draw_different_mixes_with_one_seed(make, monkeypatch):
    drawn = []
    for rank in range(3):
        monkeypatch.setattr(ma.backends, "ranks", lambda rank=rank: (rank,))
        made = make()
        batch = [DATA[i] for i in range(6)]
        labels = made(batch)[1] if isinstance(made, ma.torch.MixingCollate) else made(*default_collate(batch))[1]
        drawn.append(labels.numpy().tobytes())
    assert len(set(drawn)) == 3


@pytest.mark.parametrize(
    "recipe", [DRAWN_ONCE, ma.one_of("cutmix", DRAWN_ONCE), ma.schedule({0: DRAWN_ONCE})], ids=repr
)
def test_per_batch_recipes_raise_for_single_items(recipe):
    with pytest.raises(
        ValueError, match=r"draws once for a batch; leave per_batch out, or mix batches with ma.torch.load"
    ):
        ma.torch.MixedDataset(recipe, DATA, num_classes=N)
    assert len(ma.torch.MixedDataset(ma.MixUp(), DATA, num_classes=N)) == N


def fails_at(bad: int) -> tf.data.Dataset:
    """Ten samples; each pixel of sample i is i. One of them cannot be read."""

    def read(i):
        tf.debugging.assert_none_equal(i, tf.constant(bad, tf.int64))
        return tf.fill([4, 4, 3], tf.cast(i, tf.float32)), i % 2

    return tf.data.Dataset.range(10).map(read)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("bad", [0, 3, 9])
def test_a_pass_with_records_that_cannot_be_read_loses_nothing_else(bad, graph):
    batches = fails_at(bad).batch(2).apply(ma.tf.mixed(ma.identity(), num_classes=2, graph=graph))
    arrived = [int(x[0, 0, 0]) for images, _ in batches.ignore_errors() for x in images]
    beside = bad + 1 - 2 * (bad % 2)  # the other sample of that batch: TensorFlow keeps it in some runs
    assert sorted({*arrived, beside}) == [i for i in range(10) if i != bad]
    assert len(arrived) == len(set(arrived))
    assert batches.cardinality() == 5


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("first", [False, True], ids=["errors ignored at the end", "errors ignored first"])
def test_batches_are_numbered_in_their_order(graph, first):
    def read(i):
        tf.debugging.assert_none_equal(i, tf.constant(5, tf.int64))
        return tf.zeros([4, 4, 3]), i

    batches, mixed = tf.data.Dataset.range(N).map(read).batch(4), ma.tf.mixed(ma.MixUp(), num_classes=N, graph=graph)
    arrived = batches.ignore_errors().apply(mixed) if first else batches.apply(mixed).ignore_errors()
    rows = [np.arange(start, start + 4) for start in (0, 8, 12, 16, 20)]
    for step, ((_, labels), ids) in enumerate(zip(arrived, rows, strict=True)):
        want = ma.mix_batch(ma.MixUp(), (np.zeros((4, 4, 4, 3), np.float32), ids), key=(0, 0, step), num_classes=N)
        np.testing.assert_allclose(labels, want[1], atol=1e-6)


def test_zipped_samples_with_records_that_cannot_be_read_end():
    zipped = ma.tf.mixed_zip(ma.CutMix(), fails_at(3), fails_at(-1), num_classes=2, batched=False)
    assert 1 <= len(list(zipped.ignore_errors())) < 10


def dataset(**options) -> ma.keras.MixedDataset:
    return ma.keras.MixedDataset(ma.CutMix(), np.zeros((8, 8, 8, 3), "float32"), np.arange(8) % 4, 4, **options)


def test_epochs_are_counted_by_the_caller():
    ds = dataset(num_classes=4)

    class Mine:
        def reset(self):
            ds.on_epoch_end()

    ds.on_epoch_end()
    Mine().reset()
    assert ds.epoch == 2
    for index in range(len(ds)):
        ds[index]
    ds.on_epoch_end()
    assert ds.epoch == 3


def test_an_end_that_keras_calls_before_the_first_epoch_does_not_count():
    ds = dataset(num_classes=4, workers=0)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(ds, epochs=2, verbose=0, shuffle=False)
    assert ds.epoch == 2
    model.evaluate(ds, verbose=0)
    assert ds.epoch == 3
    model.fit(ds, epochs=1, verbose=0, shuffle=False)
    assert ds.epoch == 4


def test_an_endless_dataset_is_wrapped():
    class Endless(keras.utils.PyDataset):
        @property
        def num_batches(self):
            return None

        def __getitem__(self, index):
            return np.zeros((4, 8, 8, 3), "float32"), np.arange(4)

    ds = ma.keras.MixedDataset(ma.CutMix(), Endless(), num_classes=4)
    assert ds.num_batches is None
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    assert len(model.fit(ds, epochs=2, steps_per_epoch=3, verbose=0).history["loss"]) == 2


def test_row_numbers_draw_the_same_as_the_whole_batch():
    recipe, index = ma.one_of(ma.CutMix(), ma.MixUp()), ma.pairing.Cyclic().index(9, 2, key=(0, 1))
    whole = recipe.draw(9, (8, 8), key=(0, 1))
    ids = np.array([7, 0, 4])
    part = recipe.draw(3, (8, 8), key=(0, 1), index=index[:, ids], rows=ids)
    np.testing.assert_array_equal(part.lam, whole.lam[:, ids])
    with pytest.raises(ValueError, match="rows: expected index= beside rows=, got none; pass the sources"):
        recipe.draw(3, (8, 8), key=(0, 1), rows=ids)
