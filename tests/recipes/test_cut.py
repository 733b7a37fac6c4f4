"""Boxes have the areas, sides and positions that the recipes define. Keys are fixed, so results do not vary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mixaug as ma
from mixaug import backends
from mixaug.core import keys
from mixaug.core.regions import inside
from mixaug.recipes.cut import side_ratios

N, LARGE = 20_000, (32768, 30000)  # large enough that rounding does not matter
NUMPY = backends.common()


def box_of(recipe: ma.Recipe, size: tuple[int, ...], n: int = N) -> np.ndarray:
    return recipe.draw(n, size, key=(0, 0)).region.box[1]


def sides(box: np.ndarray) -> np.ndarray:
    return box[..., 1] - box[..., 0]


def lies_inside(box: np.ndarray, size: tuple[int, ...]) -> bool:
    return bool((box[..., 0] >= 0).all() and (sides(box) >= 0).all() and (box[..., 1] <= size).all())


def assert_anywhere_inside(box: np.ndarray, size: tuple[int, ...]) -> None:
    """Starts are uniform over all possible positions."""
    for axis, length in enumerate(size):
        room = length - sides(box)[:, axis]
        some = room > 1000
        assert stats.kstest(box[some, axis, 0] / room[some], "uniform").pvalue > 1e-3


def mean_area(size: tuple[int, ...], clip: bool) -> float:
    """The mean area of CutMix's box for alpha 1, by integration over lam and centers, in pixels."""
    area = np.ones(65536)
    for length in size:
        side = np.floor(np.sqrt(1 - (np.arange(65536) + 0.5) / 65536) * length).astype(int)
        start = np.arange(length)[None, :] - np.arange(length + 1)[:, None] // 2
        stop = np.minimum(start + np.arange(length + 1)[:, None], length)
        seen = (stop - np.maximum(start, 0)).mean(axis=1)
        area *= (seen[side] if clip else side) / length
    return float(area.mean())


@pytest.mark.parametrize("alpha", [0.7, 1.0, 4.0])
def test_a_box_inside_has_the_area_that_was_drawn(alpha):
    mix = ma.CutMix(alpha=alpha, placement="inside").draw(N, LARGE, key=(0, 0))
    assert lies_inside(mix.region.box[1], LARGE)
    assert stats.kstest(mix.lam[1], stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    assert stats.kstest(mix.lam[1], stats.beta(alpha, alpha * 1.25).cdf).pvalue < 1e-3  # the test can fail
    assert_anywhere_inside(mix.region.box[1], LARGE)


@pytest.mark.parametrize("size", [(32, 32), (224, 160)])
@pytest.mark.parametrize(("recipe", "clip"), [(ma.CutMix(placement="inside"), False), (ma.CutMix(), True)], ids=repr)
def test_the_mean_area_is_what_integration_gives(recipe, clip, size):
    lam = recipe.draw(N, size, key=(0, 0)).lam[1].astype(np.float64)
    assert abs(lam.mean() - mean_area(size, clip)) < 4 * lam.std() / np.sqrt(N)


def test_a_clipped_box_leaves_more_of_the_base_sample():
    """The figures of CutMix's docstring: the mean of a clipped side s is s(1 - s/4)."""
    s = np.sqrt((np.arange(10_000) + 0.5) / 10_000)
    assert round(1 - ((s * (1 - s / 4)) ** 2).mean(), 2) == 0.68
    assert abs(ma.CutMix().draw(N, LARGE, key=(0, 0)).lam[0].mean() - 0.68) < 0.01
    assert abs(ma.CutMix(placement="inside").draw(N, LARGE, key=(0, 0)).lam[0].mean() - 0.5) < 0.01


@pytest.mark.parametrize(
    "recipe", [ma.CutMix(alpha=0.7, placement="inside"), ma.CutMix(alpha=0.7, placement="uniform")], ids=repr
)
def test_a_box_is_what_its_words_say(recipe):
    """The box of each row, computed from its random bits with integers."""
    n, size = 200, (37, 50)
    words = keys.random_bits(NUMPY, keys.make((0, 0)), np.arange(n, dtype=np.uint32), 3)
    box = box_of(recipe, size, n)
    for row in range(n):
        lam = stats.beta(0.7, 0.7).ppf((int(words[0, row]) // 2**16 + 0.5) / 2**16)
        for axis, length in enumerate(size):
            side = int(np.floor(np.float32(np.sqrt(1 - lam)) * np.float32(length)))
            part = int(words[1 + axis, row]) // 2**8
            if recipe.placement == "inside":
                start = part * (length + 1 - side) // 2**24
            else:
                start = part * (length - 1 + max(side, 1)) // 2**24 + 1 - max(side, 1)
            first, last = max(start, 0), min(start + side, length)
            assert box[row, axis].tolist() == [first, max(last, first if side else last)]


def covered(recipe: ma.Recipe, size: tuple[int, int]) -> float:
    """The p-value of all pixels being pasted equally often. Each row is used for one pixel, for independence."""
    pixels, n = size[0] * size[1], 60_000
    pasted = recipe.draw(n, size, key=(0, 0)).pixel_weights()[1].reshape(n, pixels)[np.arange(n), np.arange(n) % pixels]
    counts = np.bincount(np.arange(n) % pixels, pasted, pixels)
    return float(stats.chi2_contingency([counts, n / pixels - counts]).pvalue)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_even_boxes_cover_every_pixel_equally(alpha):
    assert covered(ma.CutMix(alpha=alpha, placement="uniform"), (8, 6)) > 1e-3
    assert covered(ma.CutMix(alpha=alpha, placement="inside"), (8, 6)) < 1e-3
    assert covered(ma.CutMix(alpha=alpha), (8, 6)) < 1e-3


def test_even_boxes_are_clipped_boxes_of_cutmix():
    """If neither box is clipped, both have the sides of the same lam."""
    even, plain = (box_of(recipe, (640, 320)) for recipe in (ma.CutMix(placement="uniform"), ma.CutMix()))
    assert lies_inside(even, (640, 320))
    whole = [((box[..., 0] > 0) & (box[..., 1] < (640, 320))).all(axis=1) for box in (even, plain)]
    assert (whole[0] & whole[1]).sum() > 1000
    np.testing.assert_array_equal(sides(even)[whole[0] & whole[1]], sides(plain)[whole[0] & whole[1]])


def test_boxmix_has_even_areas_and_log_aspects():
    mix = ma.BoxMix(area=(0.1, 0.3), aspect=3.0).draw(N, LARGE, key=(0, 0))
    box = mix.region.box[1]
    height, width = (sides(box) / LARGE).T
    assert lies_inside(box, LARGE)
    assert stats.kstest(mix.lam[1], stats.uniform(0.1, 0.2).cdf).pvalue > 1e-3
    assert stats.kstest(np.log(height / width), stats.uniform(-np.log(3), 2 * np.log(3)).cdf).pvalue > 1e-3
    assert stats.pearsonr(mix.lam[1], height / width).pvalue > 1e-3
    assert_anywhere_inside(box, LARGE)


def test_boxmix_of_a_fixed_area_and_no_aspect():
    assert (sides(box_of(ma.BoxMix(area=0.25, aspect=1), (40, 24), 99)) == (20, 12)).all()
    assert (sides(box_of(ma.BoxMix(area=1, aspect=1), (5, 3), 99)) == (5, 3)).all()


def test_boxmix_stretches_the_last_two_axes_and_clips_long_sides():
    frames, height, width = sides(box_of(ma.BoxMix(area=0.125, aspect=4), (64, 512, 512), 2000)).T
    assert (frames == 32).all()
    assert abs(np.log(height / width)).max() > 1.3
    whole = box_of(ma.BoxMix(area=(0.9, 1), aspect=9), (40, 30))
    assert lies_inside(whole, (40, 30))
    assert (sides(whole) == (40, 30)).any(axis=0).all()
    assert (sides(box_of(ma.BoxMix(area=(0.01, 0.02)), (1, 2), 99)) == 1).all()  # never less than a pixel
    assert (sides(box_of(ma.BoxMix(area=0.5, aspect=9), (64,), 99)) == 32).all()  # a signal has no aspect


@given(
    sources=st.integers(2, 6),
    alpha=st.sampled_from([0.1, 1.0, 5.0]),
    size=st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple),
    step=st.integers(0, 1000),
)
def test_n_way_boxes_are_inside_and_disjoint(sources, alpha, size, step):
    boxes = ma.NWayCutMix(alpha=alpha, sources=sources).draw(20, size, key=(0, step)).region.box
    assert boxes[0] is None
    assert all(lies_inside(box, size) for box in boxes[1:])
    assert sum(inside(NUMPY, box, size).astype(int) for box in boxes[1:]).max() <= 1


@pytest.mark.parametrize("sources", [3, 5])
@pytest.mark.parametrize("alpha", [0.7, 1.0, 3.0])
def test_n_way_areas_are_dirichlet(sources, alpha):
    lam = ma.NWayCutMix(alpha=alpha, sources=sources).draw(N, LARGE, key=(0, 0)).lam.astype(np.float64)
    for areas in lam:
        assert stats.kstest(areas, stats.beta(alpha, alpha * (sources - 1)).cdf).pvalue > 1e-3
    np.testing.assert_allclose(np.cov(lam), stats.dirichlet(np.full(sources, alpha)).cov(), atol=0.006)


def test_n_way_strips_use_either_axis_and_boxes_any_place_in_their_strip():
    region = ma.NWayCutMix(sources=3).draw(N, LARGE, key=(0, 0)).region
    one, other = region.box[1:]
    along = one[:, :, 1] <= other[:, :, 0]  # the first strip comes first
    assert (along.any(axis=1)).all()
    only = along[along.sum(axis=1) == 1]
    assert stats.binomtest(int(only[:, 0].sum()), len(only), 0.5).pvalue > 1e-3
    for box in (one, other):  # a strip covers the whole image along the other axis
        cut = along[:, 0] & ~along[:, 1]
        room = LARGE[1] - sides(box)[cut, 1]
        assert stats.kstest(box[cut, 1, 0][room > 1000] / room[room > 1000], "uniform").pvalue > 1e-3


def test_n_way_with_two_sources_is_a_box_inside():
    two, one = ma.NWayCutMix(alpha=0.8, sources=2).draw(N, LARGE, key=(0, 0)), ma.CutMix(alpha=0.8, placement="inside")
    one = one.draw(N, LARGE, key=(0, 0))
    np.testing.assert_array_equal(sides(two.region.box[1]), sides(one.region.box[1]))
    np.testing.assert_array_equal(two.lam, one.lam)
    assert_anywhere_inside(two.region.box[1], LARGE)


@pytest.mark.parametrize("size", [LARGE, (64, 48), (5, 3)])
@pytest.mark.parametrize(("alpha", "ratio"), [(1.0, 0.5), (1.0, 1.0), (0.5, 0.5), (3.0, 0.9)])
def test_lam_of_hmix_is_beta_despite_clipping(alpha, ratio, size):
    lam = ma.HMix(alpha=alpha, ratio=ratio).draw(N, size, key=(0, 0)).lam[0]
    assert stats.kstest(lam, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    word = keys.random_bits(NUMPY, keys.make((0, 0)), np.arange(N, dtype=np.uint32), 1)[0]
    np.testing.assert_allclose(lam, keys.beta_quantiles(alpha, alpha)[word >> 16], atol=2**-16)


def test_hmix_of_ratio_0_is_mixup():
    h = ma.HMix(alpha=0.6, ratio=0).draw(500, (9, 7), key=(0, 0))
    assert (h.pixel_weights() == h.pixel_weights()[:, :, :1, :1]).all()
    np.testing.assert_allclose(h.lam[0], ma.MixUp(alpha=0.6).draw(500, (9, 7), key=(0, 0)).lam[1], atol=2**-16)


def test_hmix_of_ratio_1_is_cutmix_where_no_box_is_clipped():
    h, cut = (recipe.draw(N, LARGE, key=(0, 0)) for recipe in (ma.HMix(ratio=1), ma.CutMix()))
    box = cut.region.box[1]
    np.testing.assert_array_equal(h.region.box[1], box)
    whole = ((box[..., 0] > 0) & (box[..., 1] < LARGE)).all(axis=1)
    assert abs(whole.mean() - 1 / 6) < 0.01  # the mean of (1 - s)^2
    np.testing.assert_allclose(h.lam[:, whole], cut.lam[:, whole], atol=1e-4)
    assert (h.lam[1, ~whole] > cut.lam[1, ~whole] - 1e-4).all()


def test_hmix_blends_outside_of_a_box_of_its_ratio():
    h = ma.HMix(ratio=0.3).draw(300, (40, 30), key=(0, 0))
    word = keys.random_bits(NUMPY, keys.make((0, 0)), np.arange(300, dtype=np.uint32), 1)[0]
    lam = keys.beta_quantiles(1, 1)[word >> 16]
    box, dense = h.region.box[1], h.pixel_weights()
    side = np.floor(np.sqrt(np.float32(0.3) * (1 - lam))[:, None] * (40, 30))
    whole = ((box[..., 0] > 0) & (box[..., 1] < (40, 30))).all(axis=1)
    assert (abs(sides(box) - side)[whole] <= 1).all()
    for row in range(300):
        pasted = inside(NUMPY, box[row : row + 1], (40, 30))[0]
        assert (dense[1, row][pasted] == 1).all()
        np.testing.assert_allclose(dense[0, row][~pasted], lam[row] * 1200 / (~pasted).sum(), atol=2**-15)


def test_a_table_of_sides_is_the_root_of_what_lam_leaves():
    quantiles = keys.beta_quantiles(0.4, 0.8)
    for axes in (1, 2, 3):
        np.testing.assert_allclose(
            side_ratios(((0.4, 0.8), None, False), axes, 0.5) ** axes, 0.5 * (1 - quantiles), rtol=1e-5
        )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: ma.CutMix(alpha=0),
            "CutMix alpha: expected a finite number of 1e-09 or more and at most 1e.06, got 0",
        ),
        (lambda: ma.BoxMix(area=0), "BoxMix area: expected a finite number above 0 and at most 1, got 0"),
        (lambda: ma.BoxMix(area=(0.5, 0.4)), "BoxMix area: expected a finite number of 0.5 or more and at most 1"),
        (lambda: ma.BoxMix(aspect=0.5), "BoxMix aspect: expected a finite number of 1 or more, got 0.5"),
        (
            lambda: ma.NWayCutMix(sources=1),
            "NWayCutMix sources: expected a whole number of 2 or more and at most 256, got 1",
        ),
        (lambda: ma.NWayCutMix(alpha=-1), "NWayCutMix alpha: expected a finite number of 1e-09 or more"),
        (lambda: ma.HMix(alpha=float("nan")), "HMix alpha: expected a finite number of .* got nan"),
        (lambda: ma.HMix(ratio=1.5), "HMix ratio: expected a finite number of 0 or more and at most 1, got 1.5"),
    ],
)
def test_options_that_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
