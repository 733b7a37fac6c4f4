"""Holes: their size, position and fill; the label counts the visible pixels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import mixaug as ma
import ways
from mixaug import backends
from mixaug.core import keys
from mixaug.core.regions import Paste
from mixaug.mix import assemble

N = 20_000
NUMPY = backends.common()


def sides(box: np.ndarray) -> np.ndarray:
    return box[..., 1] - box[..., 0]


def holes(mix: ma.Mix, n: int, size: tuple[int, ...]) -> np.ndarray:
    """Bool (n, *size): the pixels of each output's hole."""
    return ma.core.regions.inside(NUMPY, mix.region.hole, size)[:n]


def test_a_hole_by_hand():
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    region = Paste(None, (None,), hole=np.int32([[[1, 3], [0, 2]]]), fill=np.float32([-5]))
    mix = assemble(NUMPY, np.int32([[0]]), region, (4, 4))
    np.testing.assert_array_equal(
        mix.images(x, ways.layout_of(x, None))[0], [[0, 1, 2, 3], [-5, -5, 6, 7], [-5, -5, 10, 11], [12, 13, 14, 15]]
    )
    np.testing.assert_array_equal(mix.lam, [[1]])
    assert mix.pixel_weights()[0, 0].sum() == 12


def test_a_fill_for_each_pixel_by_hand():
    fill = np.arange(4, dtype=np.float32).reshape(1, 2, 2) * 100 - 50.5
    region = Paste(None, (None,), hole=np.int32([[[0, 2], [0, 2]]]), fill=fill)
    mix = assemble(NUMPY, np.int32([[0]]), region, (2, 2))
    np.testing.assert_array_equal(mix.images(np.ones((1, 2, 2), np.uint8), "nhw")[0], [[0, 50], [150, 250]])
    np.testing.assert_array_equal(mix.images(np.ones((1, 3, 2, 2), np.float32), "nchw")[0], fill.repeat(3, axis=0))
    np.testing.assert_array_equal(mix.images(np.ones((1, 2, 2, 3), np.float16))[0], fill[0, ..., None].repeat(3, -1))


def test_lam_next_to_a_hole_counts_the_visible_pixels():
    """Half of the image is a hole; of the other eight pixels two, or a quarter of a blend, are the partner's."""
    hole, box = np.int32([[[0, 2], [0, 4]]] * 2), np.int32([[[2, 3], [0, 2]], [[0, 0], [0, 0]]])
    background = np.float32([[1, 0.75], [0, 0.25]])
    region = Paste(background, (None, box), hole=hole, fill=np.float32([0, 0]))
    mix = assemble(NUMPY, np.int32([[0, 1], [1, 0]]), region, (4, 4))
    np.testing.assert_array_equal(mix.lam, [[0.75, 0.75], [0.25, 0.25]])
    x = ways.own_class_everywhere(2, (4, 4))
    ways.assert_label_is_the_pixels(mix.images(x), mix.labels(np.arange(2), 2))


@pytest.mark.parametrize("side", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("size", [(32, 32), (9, 14), (20,)])
def test_cutout_is_what_its_words_say(side, size):
    n = 300
    words = keys.random_bits(NUMPY, keys.make((0, 0)), np.arange(n, dtype=np.uint32), len(size))
    mix = ma.Cutout(side=side).draw(n, size, key=(0, 0))
    for row in range(n):
        for axis, length in enumerate(size):
            long = int(side * length)
            start = int(words[axis, row]) // 2**8 * length // 2**24 - long // 2
            assert mix.region.hole[row, axis].tolist() == [max(start, 0), min(start + long, length)]
    np.testing.assert_array_equal(mix.lam, np.ones((1, n)))


def test_cutout_hides_as_much_as_integration_gives():
    """Averaged over all centers, a side of 16 of 32 pixels hides 14: 16, or 8 .. 15 at the border."""
    start = np.arange(32) - 8
    along = (np.minimum(start + 16, 32) - np.maximum(start, 0)).mean()
    assert along == 14
    hidden = sides(ma.Cutout(side=0.5).draw(N, (32, 32), key=(0, 0)).region.hole).prod(axis=1)
    assert abs(hidden.mean() - along**2) < 4 * hidden.std() / np.sqrt(N)
    assert hidden.max() == 256


def test_the_label_of_a_sample_with_a_hole_is_its_own():
    x, y = ways.own_class_everywhere(8, (9, 7)), np.arange(8)
    for recipe in (ma.Cutout(), ma.RandomErasing(), ma.RandomErasing(area=1, aspect=1, fill=3)):
        images, labels = ma.mix_batch(recipe, (x, y), key=(0, 0), num_classes=8)
        np.testing.assert_array_equal(labels, np.eye(8, dtype=np.float32))
        assert (images != x).any(axis=(1, 2, 3)).all()


def test_a_hole_that_covers_everything_keeps_the_label():
    recipe = ma.one_of(ma.RandomErasing(area=1, aspect=1, fill=4), ma.CutMix())
    x, y = ways.own_class_everywhere(40, (6, 5)), np.arange(40)
    images, labels = ma.mix_batch(recipe, (x, y), key=(0, 0), num_classes=40)
    gone = (images == 4).all(axis=(1, 2, 3))
    assert 5 < gone.sum() < 35
    np.testing.assert_array_equal(labels[gone], np.eye(40)[gone])
    ways.assert_label_is_the_pixels(images[~gone], labels[~gone])


def test_random_erasing_has_even_areas_and_log_aspects():
    size = (32768, 30000)
    hole = ma.RandomErasing(area=(0.02, 0.3), aspect=3.3).draw(N, size, key=(0, 0)).region.hole
    height, width = (sides(hole) / size).T
    assert stats.kstest(height * width, stats.uniform(0.02, 0.28).cdf).pvalue > 1e-3
    assert stats.kstest(np.log(height / width), stats.uniform(-np.log(3.3), 2 * np.log(3.3)).cdf).pvalue > 1e-3
    for axis, length in enumerate(size):
        room = length - sides(hole)[:, axis]
        assert (hole[:, axis, 0] >= 0).all()
        assert (room >= 0).all()
        some = room > 1000
        assert stats.kstest(hole[some, axis, 0] / room[some], "uniform").pvalue > 1e-3


def test_noise_is_normal_and_drawn_for_each_pixel():
    n, size = 60, (40, 30)
    mix = ma.RandomErasing(area=0.3, fill=50, noise=20).draw(n, size, key=(0, 0))
    out, hidden = mix.images(np.zeros((n, *size, 3), np.float32)), holes(mix, n, size)
    noise = out[hidden]
    assert (noise == noise[:, :1]).all()  # the same in all channels
    assert len(noise) > 15_000
    assert stats.kstest(noise[:, 0], stats.norm(50, 20).cdf).pvalue > 1e-3
    assert (out[~hidden] == 0).all()
    field = mix.region.fill.astype(np.float64) - 50  # pixels are independent, within an image and between images
    assert (abs(np.corrcoef([field[:, :-1, :-1].ravel(), field[:, 1:, :-1].ravel(), field[:, :-1, 1:].ravel()])
                - np.eye(3)) < 0.02).all()  # fmt: skip
    assert abs(np.corrcoef(field[1:].ravel(), field[:-1].ravel())[0, 1]) < 0.02
    assert (
        stats.chisquare(np.histogram(field.mean(axis=(1, 2)) * np.sqrt(1200) / 20, [-9, -0.67449, 0, 0.67449, 9])[0])[1]
        > 1e-3
    )


def test_noise_differs_for_each_key():
    fills = [ma.RandomErasing(noise=1).draw(2, (4, 4), key=(0, step)).region.fill for step in (0, 1)]
    assert (fills[0] != fills[1]).all()


def test_noise_in_uint8_is_rounded_and_clipped():
    n, size = 20, (16, 12)
    mix = ma.RandomErasing(area=(0.5, 0.9), fill=127.3, noise=150).draw(n, size, key=(0, 0))
    out, hidden = mix.images(np.full((n, *size), 9, np.uint8), "nhw"), holes(mix, n, size)
    np.testing.assert_array_equal(out[hidden], np.clip(np.rint(mix.region.fill[hidden]), 0, 255))
    assert (out == 0).any()
    assert (out == 255).any()
    assert (out[~hidden] == 9).all()


def test_each_row_has_the_fill_of_its_recipe():
    recipe = ma.one_of(ma.Cutout(side=1, fill=30), ma.RandomErasing(fill=70, area=(0.02, 0.9)), ma.MixUp(), ma.CutMix())
    mix = recipe.draw(60, (8, 8), key=(0, 0))
    out, hidden = mix.images(np.full((60, 8, 8), 200, np.uint8), "nhw"), holes(mix, 60, (8, 8))
    found = [set(out[i][hidden[i]].tolist()) for i in range(60) if hidden[i].any()]
    assert all(one in ({30}, {70}) for one in found)
    assert {30} in found
    assert {70} in found
    assert (out[~hidden] == 200).all()
    assert not hidden.any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    "recipe",
    [
        ma.one_of(ma.Cutout(), ma.CutMix()),
        ma.one_of(ma.RandomErasing(area=(0.02, 0.9)), ma.HMix(), ma.RICAP()),
        ma.one_of(ma.Cutout(), ma.GridMix(), ma.Mosaic()),
        ma.sometimes(0.5, ma.Cutout()),
        ma.per_batch(ma.one_of(ma.Cutout(), ma.MixUp())),
    ],
    ids=repr,
)
def test_labels_match_the_visible_pixels_with_holes_and_boxes(recipe):
    x, y = ways.own_class_everywhere(16, (9, 7)), np.arange(16)
    for step in range(20):
        ways.assert_label_is_the_pixels(*ma.mix_batch(recipe, (x, y), key=(0, step), num_classes=16))


def test_values_of_a_sample_with_a_hole_are_its_own():
    mix = ma.Cutout().draw(5, (8, 8), key=(0, 0))
    np.testing.assert_array_equal(mix.values(np.arange(5.0)), np.arange(5.0))
    assert mix.per_source(np.arange(5))[0].shape == (1, 5)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ma.Cutout(side=1.5), "Cutout side: expected a finite number of 0 or more and at most 1, got 1.5"),
        (lambda: ma.Cutout(fill="0"), "Cutout fill: expected a finite number, got '0'"),
        (lambda: ma.Cutout(fill=float("nan")), "Cutout fill: expected a finite number, got nan"),
        (
            lambda: ma.RandomErasing(area=(0, 0.33)),
            "RandomErasing area: expected a finite number above 0 and at most 1, got 0",
        ),
        (lambda: ma.RandomErasing(area=0), "RandomErasing area: expected a finite number above 0 and at most 1, got 0"),
        (lambda: ma.RandomErasing(area=(0.02, 0.01)), "RandomErasing area: expected a finite number of 0.02 or more"),
        (lambda: ma.RandomErasing(aspect=0.3), "RandomErasing aspect: expected a finite number of 1 or more, got 0.3"),
        (lambda: ma.RandomErasing(noise=-1), "RandomErasing noise: expected a finite number of 0 or more, got -1"),
    ],
)
def test_options_that_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
