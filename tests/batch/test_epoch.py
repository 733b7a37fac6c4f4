"""Order and sources over a whole dataset, and the batches."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mixaug as ma
from mixaug.core import keys
from mixaug.epoch import Epoch, Permutation


@given(st.integers(1, 3000), st.integers(0, 2**64))
def test_a_permutation_is_one_and_knows_its_way_back(n, seed):
    shuffled = Permutation(n, keys.make((seed, 0)))
    rows = shuffled(np.arange(n))
    np.testing.assert_array_equal(np.sort(rows), np.arange(n))
    np.testing.assert_array_equal(shuffled.inverse(rows), np.arange(n))
    some = np.arange(n)[:: max(1, n // 7)]
    np.testing.assert_array_equal(shuffled(some), rows[some])


@pytest.mark.parametrize("n", [5, 12, 64])
def test_every_row_is_equally_likely_at_every_position(n):
    draws, counts = 4000, np.zeros((n, n))
    for epoch in range(draws):
        counts[np.arange(n), Permutation(n, keys.make((0, epoch)))(np.arange(n))] += 1
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_small_permutations_reach_all_orders():
    orders = Counter(tuple(Permutation(4, keys.make((1, e)))(np.arange(4)).tolist()) for e in range(4800))
    assert len(orders) == 24
    assert min(orders.values()) > 120
    assert max(orders.values()) < 290


@pytest.mark.parametrize(("n", "sources"), [(10, 3), (257, 5), (2, 4), (1, 2)])
def test_parents_of_an_epoch(n, sources):
    this = Epoch(n, seed=3, epoch=1)
    rows = this.rows(0, n)
    np.testing.assert_array_equal(np.sort(rows), np.arange(n))
    index = this.sources(0, n, sources)
    np.testing.assert_array_equal(index[0], rows)
    for j in range(1, sources):
        np.testing.assert_array_equal(np.sort(index[j]), np.arange(n))  # each row is source j once per epoch
        if j < n:
            assert (index[j] != rows).all()


def test_parents_come_from_the_whole_dataset():
    this = Epoch(1000, seed=0, epoch=0)
    own, other = this.sources(0, 50, 2)
    assert len(set(own) & set(other)) < 12  # 2.5 are expected by chance
    assert stats.kstest(other / 1000, "uniform").pvalue > 1e-3


def test_an_epoch_does_not_depend_on_the_batch_size():
    """A range that is longer than a block and crosses its border."""
    this = Epoch(20_000, seed=1, epoch=2)
    whole = this.sources(0, 20_000, 3)
    np.testing.assert_array_equal(np.sort(whole[0]), np.arange(20_000))
    for start, stop in ((0, 7), (8190, 8200), (8192, 16384), (100, 19_000), (19_990, 20_010)):
        np.testing.assert_array_equal(this.sources(start, stop, 3), whole[:, start:stop])
        np.testing.assert_array_equal(this.rows(start, stop), whole[0, start:stop])


def dataset(n=23, classes=23):
    x = np.zeros((n, 5, 6, classes), np.float32)
    x[np.arange(n), ..., np.arange(n) % classes] = 1
    return x, np.arange(n) % classes


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(sources=3), ma.GridMix(), ma.identity()], ids=repr)
def test_labels_are_the_pixels_in_every_batch(recipe):
    x, y = dataset()
    for images, labels in ma.batches(recipe, x, y, 5, epochs=2, num_classes=23):
        np.testing.assert_allclose(images.mean(axis=(1, 2)), labels, atol=1e-6)


def test_each_sample_is_the_base_sample_once_per_epoch_and_epochs_differ():
    x, y = dataset()
    epochs = [
        np.concatenate([labels for _, labels in ma.batches(ma.identity(), x, y, 5, epochs=1, seed=s, num_classes=23)])
        for s in (0, 1)
    ]
    for labels in epochs:
        np.testing.assert_array_equal(labels.sum(axis=0), 1)
    two = np.concatenate([labels for _, labels in ma.batches(ma.CutMix(), x, y, 5, epochs=2, num_classes=23)])
    assert (two[:23] != two[23:]).any()
    assert (epochs[0] != epochs[1]).any()


def test_batches_are_draws_under_the_key_of_their_place():
    x, y = dataset()
    got = list(islice(ma.batches(ma.CutMix(), x, y, 5, seed=9, num_classes=23), 12))
    assert [len(labels) for _, labels in got] == [5, 5, 5, 5, 3] * 2 + [5, 5]
    this = Epoch(23, seed=9, epoch=1)
    rows = this.rows(20, 25)
    mix = ma.CutMix().draw(3, (5, 6), key=(9, 1, 4), index=this.sources(20, 25, 2))
    np.testing.assert_array_equal(got[9][0], mix.images(x[rows], source=x))
    np.testing.assert_array_equal(got[9][1], mix.labels(y[rows], 23, source=y))


def test_mixed_counts_its_batches():
    x, y = dataset(8, 8)
    loader = [(x[:5], y[:5]), (x[5:], y[5:])]
    for epoch in (0, 1):
        for step, (images, labels) in enumerate(ma.mixed(ma.CutMix(), loader, seed=4, epoch=epoch, num_classes=8)):
            expected = ma.mix_batch(ma.CutMix(), loader[step], key=(4, epoch, step), num_classes=8)
            np.testing.assert_array_equal(images, expected[0])
            np.testing.assert_array_equal(labels, expected[1])


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"x": [1]}, TypeError, "x: expected a NumPy array with rows, got list"),
        ({"y": np.arange(3)}, ValueError, "rows in x, y and sample_weight, .* got 23 and 3"),
        ({"x": np.zeros((0, 4, 4, 1)), "y": np.zeros(0, int)}, ValueError, "got 0 and 0"),
        ({"batch_size": 0}, ValueError, "batch_size: expected a whole number of 1 or more, got 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size: expected a whole number"),
        ({"seed": 1.5}, TypeError, "key: expected integers, got 1.5"),
        ({"num_classes": None}, ValueError, "expected num_classes for class ids"),
        ({"epochs": 1.5}, ValueError, "epochs: expected a whole number of 0 or more, got 1.5"),
        ({"x": np.float32(1)}, TypeError, "x: expected a NumPy array with rows"),
        ({"recipe": 3}, TypeError, "expected a recipe first, before the data, got 3"),
    ],
)
def test_what_is_refused_is_refused_at_the_call(change, error, sentence):
    x, y = dataset()
    with pytest.raises(error, match=sentence):
        ma.batches(**{"x": x, "y": y, "batch_size": 4, "recipe": ma.CutMix(), "num_classes": 23, **change})
