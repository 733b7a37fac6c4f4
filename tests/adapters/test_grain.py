"""Grain: element i of each epoch is mixed with its sources, for threads and processes."""

from __future__ import annotations

import grain
import numpy as np
import pytest
from absl import flags

import mixaug as ma
import ways
from mixaug.epoch import Epoch

N = 11
X, Y = ways.own_class_everywhere(N, (5, 6)), np.arange(N)
RECIPE = ma.one_of(ma.MixUp(alpha=1.0, sources=3), ma.CutMix())


class Source:
    def __init__(self, form=dict):
        self.form = form

    def __len__(self):
        return N

    def __getitem__(self, row):
        return {"image": X[row], "label": row} if self.form is dict else self.form((X[row], row))


def mixed(recipe=RECIPE, source=None, **options):
    ds = grain.MapDataset.source(source or Source())
    return ma.grain.mixed(recipe, ds, num_classes=N, **options)


@pytest.mark.parametrize("recipe", ways.ITEM_ROWS, ids=repr)
def test_elements_are_made_of_their_parents(recipe):
    ds = mixed(recipe, seed=4).repeat(2)
    assert len(ds) == 2 * N
    for index in range(2 * N):
        epoch, row = divmod(index, N)
        element = ds[index]
        assert (element["image"].dtype, element["label"].dtype) == (np.float32, np.float32)
        ways.assert_label_is_the_pixels(element["image"], element["label"])
        index = Epoch(N, 4, epoch, shuffle=False).sources(row, row + 1, recipe.sources)
        mix = recipe.draw(1, (5, 6), key=ma.core.keys.make((4, epoch)), index=index, rows=np.array([row]))
        np.testing.assert_allclose(element["label"], mix.labels(Y[[row]], N, source=Y)[0], atol=1e-7)


@pytest.mark.parametrize("form", [tuple, list])
def test_the_form_stays_and_slices_are_datasets(form):
    ds = mixed(source=Source(form))
    assert type(ds[0]) is form
    part = ds[2:5]
    assert len(part) == 3
    np.testing.assert_array_equal(part[0][1], ds[2][1])


def test_a_shuffle_before_it_shuffles_each_epoch_anew():
    ds = ma.grain.mixed(ma.identity(), grain.MapDataset.source(Source()).shuffle(seed=3), num_classes=N).repeat(2)
    orders = [[int(ds[epoch * N + i]["label"].argmax()) for i in range(N)] for epoch in range(2)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(N))
    assert orders[0] != orders[1]


def test_batches_do_not_depend_on_threads_or_processes():
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain reads its flags in the workers
    source = [Source()[row] for row in range(N)]  # plain data, so that worker processes need not import this module
    ds = mixed(source=source).repeat(3).batch(4)
    want = [ds[i] for i in range(len(ds))]
    for options in (grain.ReadOptions(num_threads=0), grain.ReadOptions(num_threads=4)):
        got = list(ds.to_iter_dataset(options))
        assert_batches(got, want)
    processes = grain.MultiprocessingOptions(num_workers=2)
    assert_batches(list(ds.to_iter_dataset().mp_prefetch(processes)), want)


def assert_batches(got, want) -> None:
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        for name in ("image", "label"):
            np.testing.assert_array_equal(one[name], other[name])


def test_batches_mixed_within_themselves():
    ds = grain.MapDataset.source(Source()).batch(4)
    mixed = ds.map_with_index(lambda i, batch: ma.mix_batch(RECIPE, batch, key=(0, i), num_classes=N))
    for step in range(len(mixed)):
        rows = slice(4 * step, 4 * step + 4)
        want = ma.mix_batch(RECIPE, (X[rows], Y[rows]), key=(0, step), num_classes=N)
        np.testing.assert_array_equal(mixed[step]["image"], want[0])
        np.testing.assert_array_equal(mixed[step]["label"], want[1])


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: ma.grain.mixed(RECIPE, [1]), TypeError, "mixed: expected a grain.MapDataset, .* got list; mix the"),
        (
            lambda: ma.grain.mixed(RECIPE, grain.MapDataset.source(Source()).repeat()),
            ValueError,
            "mixed: expected a dataset of at least 1 element and finite length, got [0-9]+; repeat the mixed dataset",
        ),
        (lambda: mixed(3), TypeError, "expected a recipe first, before the data, got 3"),
        (
            lambda: ma.grain.mixed(RECIPE, grain.MapDataset.source(Source()).filter(lambda _: False))[0],
            ValueError,
            "expected an element at every index, got one filtered out; filter the source first",
        ),
    ],
)
def test_what_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
