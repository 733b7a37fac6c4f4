"""The mix of a row under (seed, epoch, copy) is the same in every partition, block and order of a dataset."""

from __future__ import annotations

import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.core import keys
from mixaug.epoch import MAX_ROWS, Epoch, items, sample

N, SIZE = 23, (5, 6)
X, Y = ways.own_class_everywhere(N, SIZE), np.arange(N)
OPTIONS = {"num_classes": N, "return_mix": True}


def batch_of(rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return X[rows], Y[rows]


def mixed(recipe: ma.Recipe, this: Epoch, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, ma.Mix]:
    return items(recipe, this, this.partners(rows, recipe.sources), batch_of, **OPTIONS)


def partitions() -> list[list[np.ndarray]]:
    """Cuts of all rows, in order and shuffled: blocks of 1, 4 and N rows, and two of very different sizes."""
    rows = [np.arange(N), np.random.default_rng(0).permutation(N)]
    cuts = [range(1, N), range(4, N, 4), [], [N - 1]]
    return [np.split(order, list(cut)) for order in rows for cut in cuts]


@pytest.mark.parametrize("recipe", ways.ITEM_ROWS, ids=repr)
@pytest.mark.parametrize("copy", [0, 3])
def test_a_row_is_mixed_the_same_in_every_partition(recipe, copy):
    this = Epoch(N, seed=5, epoch=2, copy=copy)
    images, labels, mix = mixed(recipe, this, np.arange(N))
    for blocks in partitions():
        for rows in blocks:
            some, weights, part = mixed(recipe, this, rows)
            np.testing.assert_array_equal(some, images[rows])
            np.testing.assert_array_equal(weights, labels[rows])
            np.testing.assert_array_equal(part.index, mix.index[:, rows])
            np.testing.assert_array_equal(part.lam, mix.lam[:, rows])


@pytest.mark.parametrize("recipe", ways.ITEM_ROWS, ids=repr)
def test_it_is_the_draw_of_all_rows_under_the_key_of_the_epoch(recipe):
    this = Epoch(N, seed=5, epoch=2)
    images, labels, mix = mixed(recipe, this, np.arange(N))
    index = this.partners(np.arange(N), recipe.sources)
    whole = recipe.draw(N, SIZE, key=keys.make((5, 2))._replace(epoch=2), index=index)
    np.testing.assert_array_equal(images, whole.images(None, source=X))
    np.testing.assert_array_equal(labels, whole.labels(Y, N))
    np.testing.assert_array_equal(mix.index, whole.index)
    ways.assert_label_is_the_pixels(images, labels)
    one, label, _ = sample(recipe, Epoch(N, 5, 2, shuffle=False), 7, batch_of, **OPTIONS)
    np.testing.assert_array_equal(one, images[7])
    np.testing.assert_array_equal(label, labels[7])


def test_copies_have_mixes_and_partners_of_their_own():
    labels = [mixed(ma.CutMix(), Epoch(N, 0, epoch, copy=copy), np.arange(N))[1] for epoch in (0, 1) for copy in (0, 1)]
    assert len({one.tobytes() for one in labels}) == 4
    partners = [Epoch(N, 0, 0, copy=copy).partners(np.arange(N), 2)[1].tolist() for copy in range(3)]
    assert len(set(map(tuple, partners))) == 3


def test_copies_know_the_epoch_of_a_schedule():
    recipe = ma.schedule({0: ma.identity(), 4: ma.MixUp(alpha=8.0)})
    assert mixed(recipe, Epoch(N, 0, 3, copy=1), np.arange(N))[1].max() == 1
    assert mixed(recipe, Epoch(N, 0, 4, copy=1), np.arange(N))[1].max(axis=1).min() < 0.9


@pytest.mark.parametrize(("change", "sentence"), [
    ({"n": MAX_ROWS + 1}, r"n: expected a whole number of 0 or more and at most 2147483647, got 2147483648"),
    ({"copy": -1}, r"copy: expected a whole number of 0 or more, got -1"),
])  # fmt: skip
def test_an_epoch_of_too_many_rows_or_of_no_copy_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        Epoch(**{"n": 3, "seed": 0, "epoch": 0, **change})
