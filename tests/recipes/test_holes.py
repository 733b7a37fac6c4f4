"""Several holes in an output, which may overlap: visible pixels, lam, and all kinds of fields."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import mixaug as ma
import ways
from mixaug import backends
from mixaug.core.regions import Paste
from mixaug.mix import assemble

NUMPY = backends.common()
SIZE = (8, 6)
TWO = np.int32([[[[0, 4], [0, 3]], [[2, 6], [1, 4]]], [[[0, 0], [0, 0]], [[5, 8], [0, 6]]]])  #: (n, holes, d, 2)
BOX = np.int32([[[6, 8], [0, 6]], [[0, 2], [2, 5]]])
BACKGROUND = np.float32([[0.75, 0.5], [0.25, 0.5]])
RECIPES = [
    ma.Cutout(side=0.6, count=4),
    ma.Cutout(side=0.4, count=(1, 3), fill=7),
    ma.RandomErasing(area=(0.02, 0.4), count=(2, 5), fill=9, noise=3),
    ma.one_of(ma.Cutout(side=0.6, count=3), ma.RandomErasing(count=2, noise=2), ma.HMix(), ma.RICAP()),
    ma.one_of(ma.RandomErasing(area=(0.02, 0.4), count=(1, 3), fill=5), ma.SmoothMix(), ma.CutMix()),
    ma.one_of(ma.Cutout(count=2), ma.GridMix(), ma.Mosaic()),
]


def region(make=np.asarray) -> Paste:
    """A blend, a box over it, and two holes that overlap in the first row."""
    return Paste(make(BACKGROUND), (None, make(BOX)), hole=make(TWO), fill=make(np.float32([-1, -2])))


def pixels_of(boxes: np.ndarray) -> np.ndarray:
    """Bool (8, 6): the pixels in any of these boxes (h, 2, 2)."""
    mask = np.zeros(SIZE, bool)
    for (top, bottom), (left, right) in boxes.tolist():
        mask[top:bottom, left:right] = True
    return mask


def mixed_region() -> ma.Mix:
    return assemble(NUMPY, np.int32([[0, 1], [1, 0]]), region(), SIZE)


def test_lam_is_the_mean_over_pixels_outside_of_holes():
    """12 + 12 - 4 (overlap) pixels are hidden in the first row, 18 in the second."""
    mix = mixed_region()
    np.testing.assert_array_equal(mix.lam[1], np.float32([(12 + 0.25 * 16) / 28, (6 + 0.5 * 24) / 30]))
    for i in range(2):
        assert (mix.pixel_weights()[:, i].sum(axis=0) == ~pixels_of(TWO[i])).all()
    x = ways.own_class_everywhere(2, SIZE) * 2
    images = mix.images(x)
    assert [(images[i] == -1 - i).all(axis=-1).sum() for i in range(2)] == [20, 18]
    seen = images * (images >= 0)
    ways.assert_label_is_the_pixels(seen, mix.labels(np.arange(2), 2))


@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
def test_lam_has_the_same_bits_in_every_library(way):
    @backends.no_autograph
    def both(weight, box, hole, own, other):
        xp = backends.of(own)
        blend, fill = xp.stack([1 - weight, weight]), xp.cast(own, "float32")
        regions = (Paste(background, (None, box), hole=hole, fill=fill) for background in (None, blend))
        return [assemble(xp, xp.stack([own, other]), region, SIZE).lam for region in regions]

    given = BACKGROUND[1], BOX, TWO, np.int32([0, 1]), np.int32([1, 0])
    for got, want, atol in zip(way(both, *given), both(*given), (0, 3 * 2**-24), strict=True):  # a product and a sum
        ways.assert_same(got, want, ways.array_of(way), atol=atol)


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
@pytest.mark.parametrize("size", [(9, 7), (13,), (3, 5, 4)], ids=str)
def test_labels_match_the_visible_pixels(recipe, size):
    x, y = ways.own_class_everywhere(16, size), np.arange(16)
    for step in range(8):
        mix = recipe.draw(16, size, key=(0, step))
        seen = mix.pixel_weights().sum(axis=0) > 0.5
        images = mix.images(x, ways.layout_of(x)) * seen[..., None]
        ways.assert_label_is_the_pixels(images, mix.labels(y, 16))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_images_are_the_definition_in_every_layout(recipe, dtype):
    """Kernels and generic code, tiles that end within holes, and images with a source."""
    n, size = 7, (70, 61)
    x = np.random.default_rng(0).uniform(10, 255, (n, *size, 3)).astype(dtype)
    mix = recipe.draw(n, size, key=(0, 3))
    weights = mix.region.pixel_weights(NUMPY, n, size)[..., None]
    seen = weights.sum(axis=0) > 0.5
    defined = (weights.astype(np.float64) * ways.seen_through(mix, x[mix.index])).sum(axis=0)
    fill = mix.region.fill.reshape(*mix.region.fill.shape, *[1] * (4 - mix.region.fill.ndim))
    defined = np.where(seen, defined, np.clip(np.rint(fill), 0, 255) if dtype == "uint8" else fill)
    atol = 0.51 if dtype == "uint8" else 1e-3
    np.testing.assert_allclose(mix.images(x), defined, atol=atol)
    np.testing.assert_allclose(np.moveaxis(mix.images(np.moveaxis(x, -1, 1).copy(), "nchw"), 1, -1), defined, atol=atol)
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]  # not supported by the kernels
    np.testing.assert_allclose(mix.images(strided), defined, atol=atol)
    converted = mix.images(x, dtype="float64" if dtype == "float64" else "float32", scale=0.5, offset=1.0)
    np.testing.assert_allclose(converted, defined * 0.5 + 1, atol=atol)
    frames = mix.images(np.repeat(x[:, None], 2, axis=1), "nthwc")
    np.testing.assert_allclose(frames, np.repeat(defined[:, None], 2, axis=1), atol=atol)


def test_a_field_of_another_size_has_its_holes_at_the_same_place():
    mix = ma.Cutout(side=0.5, count=3, fill=9).draw(6, (16, 12), key=0)
    small = mix.images(np.zeros((6, 8, 6), np.uint8), "nhw") == 9
    large = mix.images(np.zeros((6, 16, 12), np.uint8), "nhw") == 9
    np.testing.assert_array_equal(small, large[:, 1::2, 1::2])


def test_masks_know_what_holes_cover():
    mask = np.random.default_rng(0).integers(0, 9, (2, *SIZE)).astype(np.uint8)
    mix = mixed_region()
    np.testing.assert_array_equal(mix.masks(mask)[:, 2:6][:, :, :2], mask[:, 2:6][:, :, :2])  # no box, lam of both < 1
    hidden = np.stack([pixels_of(TWO[i]) for i in range(2)])
    np.testing.assert_array_equal(mix.masks(mask)[hidden], mask[hidden])
    shares = mix.masks(mask, num_classes=9, soft=True)
    np.testing.assert_array_equal(shares[hidden], np.eye(9)[mask[hidden]])


def test_objects_are_visible_outside_of_holes():
    """Integer boxes, by the pixels of the definition; blends, boxes, overlapping holes."""
    mix, rng = mixed_region(), np.random.default_rng(0)
    first = rng.integers(0, [5, 7], (2, 20, 2))
    last = np.minimum(first + rng.integers(1, 5, (2, 20, 2)), [6, 8])
    boxes = np.concatenate([first, last], axis=2).astype(np.float32)
    mixed = mix.boxes(boxes, min_visibility=0)
    weights = mix.pixel_weights()
    for i, j, m in np.ndindex(2, 2, 20):
        left, top, right, bottom = boxes[mix.index[j, i], m].astype(int)
        seen = weights[j, i, top:bottom, left:right]
        assert abs(mixed.weight[i, j * 20 + m] - seen.mean()) < 1e-6
        if seen.any():
            rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
            around = [left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1]
            np.testing.assert_allclose(mixed.boxes[i, j * 20 + m], around, atol=1e-4)
    points = mix.keypoints(boxes[..., :2] + 0.5)
    for i, j, m in np.ndindex(2, 2, 20):
        left, top = boxes[mix.index[j, i], m, :2].astype(int)
        assert abs(points.weight[i, j * 20 + m] - weights[j, i, top, left]) < 1e-6
    masks = np.ones((2, 1, *SIZE), bool)
    np.testing.assert_array_equal(mix.instances(masks).masks[:, 0], weights[0] > 0)


def test_visible_foreground_leaves_out_what_holes_cover():
    mix, foreground = mixed_region(), np.zeros((2, *SIZE), bool)
    foreground[:, 1:5, 1:5] = True
    weights = mix.pixel_weights()
    seen = (weights * foreground[mix.index]).sum(axis=(2, 3))
    np.testing.assert_allclose(mix.visible(foreground).lam, seen / seen.sum(axis=0), atol=1e-6)


def test_the_first_hole_equals_a_single_hole():
    for one, many in [
        (ma.Cutout(side=0.4), ma.Cutout(side=0.4, count=5)),
        (ma.RandomErasing(), ma.RandomErasing(count=(3, 3))),
    ]:
        alone, several = one.draw(9, (32, 32), key=4).region.hole, many.draw(9, (32, 32), key=4).region.hole
        assert several.shape == (9, 5 if "Cutout" in repr(one) else 3, 2, 2)
        np.testing.assert_array_equal(several[:, 0], alone)


def test_numbers_of_holes_are_uniform_and_holes_are_drawn_alike():
    n, size = 20_000, (1024, 1000)
    hole = ma.RandomErasing(area=(0.02, 0.2), count=(2, 5)).draw(n, size, key=1).region.hole
    sides = hole[..., 1] - hole[..., 0]
    area = sides.prod(axis=-1) / np.prod(size)
    number = (area > 0).sum(axis=1)
    assert stats.chisquare(np.bincount(number, minlength=6)[2:]).pvalue > 1e-3
    assert number.min() == 2
    assert number.max() == 5
    for h in range(5):
        some = area[:, h] > 0
        assert stats.kstest(area[some, h], stats.uniform(0.02, 0.18).cdf).pvalue > 1e-4
        assert (some == (number > h)).all()
    both = number > 2
    assert abs(np.corrcoef(area[both, 0], area[both, 2])[0, 1]) < 0.03
    assert abs(np.corrcoef(number, area[:, 0])[0, 1]) < 0.03


def test_joined_mixes_and_files_keep_the_holes(tmp_path):
    x, y = ways.own_class_everywhere(6, (9, 7)), np.arange(6)
    recipe = ma.one_of(ma.Cutout(side=0.5, count=(1, 3)), ma.CutMix())
    images, labels, mix = ma.mix_batch(
        recipe, (x, y), key=0, num_classes=6, include_clean=True, copies=2, return_mix=True
    )
    assert mix.region.hole.shape == (18, 3, 2, 2)
    np.testing.assert_array_equal(images[:6], x)
    np.testing.assert_array_equal(mix.images(x[np.tile(np.arange(6), 3)]), images)
    ways.assert_label_is_the_pixels(images, labels)
    mix.save(tmp_path / "mix.npz")
    read = ma.Mix.load(tmp_path / "mix.npz")
    assert read.flatten()[0] == mix.flatten()[0]
    for one, other in zip(read.flatten()[1], mix.flatten()[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_file_with_another_lam_is_refused(tmp_path):
    mix = mixed_region()
    with pytest.raises(ValueError, match="lam: expected the mean of the region's weights"):
        ma.Mix(mix.index, np.float32([[0.5, 0.5], [0.5, 0.5]]), mix.region, SIZE)
    ma.Mix(mix.index, mix.lam, mix.region, SIZE).save(tmp_path / "mix.npz")
    assert ma.Mix.load(tmp_path / "mix.npz").region.hole.shape == (2, 2, 2, 2)


@pytest.mark.parametrize(
    ("hole", "sentence"),
    [
        (np.int32([[[[6, 7], [0, 1]]] * 2] * 2), "region: box_1: expected no pixel in common with hole"),
        (
            np.int32([[[[0, 9], [0, 1]]] * 2] * 2),
            r"region: hole: expected 0 <= first <= last <= \(8, 6\), got \[\[0, 9\], \[0, 1\]\]",
        ),
        (np.zeros((2, 65, 2, 2), np.int32), "region: hole: expected 1 to 64 holes, got 65; "),
        (np.zeros((2, 0, 2, 2), np.int32), "region: hole: expected 1 to 64 holes, got 0; pass hole=None for no hole"),
        (np.zeros((2, 2, 3, 2), np.int32), r"region: hole: expected the shape \(2, 2, 2\) or \(2, 2, 2, 2\), got"),
        (np.zeros((2, 2, 2, 2), np.int64), "region: hole: expected int32, got int64"),
    ],
)
def test_holes_that_are_refused(hole, sentence):
    mix = mixed_region()
    region = Paste(BACKGROUND, (None, BOX), hole=hole, fill=np.float32([0, 0]))
    with pytest.raises((ValueError, TypeError), match=sentence):
        ma.Mix(mix.index, mix.lam, region, SIZE)


@pytest.mark.parametrize("make", [ma.Cutout, ma.RandomErasing])
@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (0, "count: expected a whole number of 1 or more and at most 64, got 0"),
        (65, "count: expected a whole number of 1 or more and at most 64, got 65"),
        (2.0, "count: expected a whole number of 1 or more and at most 64, got 2.0"),
        ((3, 2), "count: expected a whole number of 3 or more and at most 64, got 2"),
        ((1, 2, 3), r"count: expected a whole number or a range \(low, high\), got \(1, 2, 3\); give two"),
    ],
)
def test_counts_that_are_refused(make, count, sentence):
    with pytest.raises(ValueError, match=f"{make.__name__} {sentence}"):
        make(count=count)


@pytest.mark.parametrize("recipe", [ma.Cutout(count=3), ma.RandomErasing(count=(1, 4), noise=2)], ids=repr)
def test_texts_say_how_many_holes(recipe):
    assert ma.recipe(repr(recipe)) == recipe
    assert "count" not in repr(type(recipe)())
