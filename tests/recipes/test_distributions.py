"""Draws follow the distributions of their papers. Keys are fixed, so results do not vary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import mixaug as ma
from mixaug.recipes.recipe import Draw

N = 20_000
SURE = 1.95  # sqrt(n) times the Kolmogorov distance is below this with probability 0.999


def distance(whole: np.ndarray, distribution: stats.rv_continuous) -> float:
    """The Kolmogorov distance of multiples of 1/65536 from a rounded distribution, times sqrt(n)."""
    at, counts = np.unique(whole, return_counts=True)
    above = np.cumsum(counts) / len(whole)
    expected = distribution.cdf((at + 0.5) / 65536)
    below = distribution.cdf((at - 0.5) / 65536)
    return float(np.sqrt(len(whole)) * max(abs(above - expected).max(), abs(above - counts / len(whole) - below).max()))


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0])
def test_mixup_weights_are_beta(alpha):
    lam = ma.MixUp(alpha=alpha).draw(N, (1,), key=(0, 0)).lam
    whole = lam[0].astype(np.float64) * 65536
    assert (whole == np.rint(whole)).all()
    assert distance(whole, stats.beta(alpha, alpha)) < SURE
    assert distance(whole, stats.beta(alpha * 1.25, alpha)) > SURE  # the test can fail


@pytest.mark.parametrize("sources", [3, 5])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_n_way_weights_are_dirichlet(sources, alpha):
    lam = ma.MixUp(alpha=alpha, sources=sources).draw(N, (1,), key=(0, 0)).lam.astype(np.float64)
    marginal = stats.beta(alpha, alpha * (sources - 1))
    for weights in lam:
        assert distance(weights * 65536, marginal) < SURE + 0.3  # each stick adds half a grid step of rounding
    covariance = np.cov(lam)
    np.testing.assert_allclose(covariance, stats.dirichlet(np.full(sources, alpha)).cov(), atol=0.006)


@pytest.mark.parametrize("alpha", [0.01, 0.001])
def test_small_alpha_gives_no_nan(alpha):
    for recipe in (
        ma.MixUp(alpha=alpha),
        ma.MixUp(alpha=alpha, sources=4),
        ma.CutMix(alpha=alpha),
        ma.GridMix(alpha=alpha),
    ):
        lam = recipe.draw(2000, (16, 16), key=(0, 0)).lam
        assert np.isfinite(lam).all()
        np.testing.assert_allclose(lam.sum(axis=0), 1)
    assert (ma.MixUp(alpha=alpha).draw(2000, (1,), key=(0, 0)).lam.max(axis=0) > 0.99).mean() > 0.9


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_cutmix_sides_are_the_root_of_beta(alpha):
    """Boxes inside a long signal have side floor(size * (1 - lam)): compare with the distribution of lam."""
    size = 4096
    start, stop = ma.CutMix(alpha=alpha).draw(N, (size,), key=(0, 0)).region.box[1][:, 0].T
    inside = (start > 0) & (stop < size)
    for limit in (64, 256, 1024):  # a side s is inside for (size - s) of size centers
        sides = (stop - start)[inside & (stop - start < limit)]
        grid = np.arange(limit)
        chance = np.diff(stats.beta(alpha, alpha).cdf(np.append(grid, limit) / size)) * (size - grid) / size
        assert abs(len(sides) / N - chance.sum()) < 4 * np.sqrt(chance.sum() / N)


def test_cutmix_sides_keep_the_images_aspect_and_may_be_odd():
    box = ma.CutMix().draw(N, (64, 32), key=(0, 0)).region.box[1]
    inside = ((box[:, :, 0] > 0) & (box[:, :, 1] < (64, 32))).all(axis=1)
    height, width = (box[:, :, 1] - box[:, :, 0])[inside].T
    assert (abs(height // 2 - width) <= 1).all()
    assert 0.4 < (height % 2).mean() < 0.6


def test_cutmix_centres_are_uniform():
    size, side = (101, 57), 5
    box = ma.CutMix(alpha=1.0).draw(200_000, size, key=(0, 0)).region.box[1]
    sides = box[:, :, 1] - box[:, :, 0]
    for axis, length in enumerate(size):
        start, stop = box[:, axis].T
        small = (start >= side) & (stop <= length - side) & (sides[:, axis] <= side) & (sides[:, axis] > 0)
        centre = (start + sides[:, axis] // 2)[small]
        clear = centre[(centre >= 2 * side) & (centre < length - 2 * side)]  # where no side of 5 is ever clipped
        counts = np.bincount(clear - 2 * side, minlength=length - 4 * side)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_cutmix_area_has_the_mean_that_integration_gives():
    """E[area] of a clipped box: per axis the mean overlap of [c - s/2, c + s/2] with the image, over c and lam."""
    size = 256
    lam = (np.arange(4000) + 0.5) / 4000
    s = np.sqrt(1 - lam)
    overlap = s * (1 - s / 4)  # mean over a uniform centre of the clipped length, for s <= 1
    lam = ma.CutMix(alpha=1.0).draw(N, (size, size), key=(0, 0)).lam[1]
    assert abs(lam.mean() - (overlap**2).mean()) < 0.006


def test_every_other_row_is_equally_likely_as_a_partner():
    n, sources, draws = 7, 4, 6000
    counts = np.zeros((sources, n, n))
    for step in range(draws):
        index = ma.MixUp(alpha=100.0, sources=sources).draw(n, (1,), key=(0, step)).index
        counts[np.arange(sources)[:, None], np.arange(n), index] += 1
    assert (counts[0] == draws * np.eye(n)).all()
    for j in range(1, sources):
        assert counts[j].trace() == 0
        others = counts[j][~np.eye(n, dtype=bool)]
        assert stats.chisquare(others).pvalue > 1e-3


def test_one_of_chooses_by_weight_and_rows_choose_apart():
    recipe = ma.one_of(ma.identity(), ma.MixUp(alpha=100.0), weights=(3, 1))
    mixed = recipe.draw(N, (1,), key=(0, 0)).lam[1] > 0
    assert stats.binomtest(int(mixed.sum()), N, 0.25).pvalue > 1e-3
    assert stats.binomtest(int((mixed[1:] & mixed[:-1]).sum()), N - 1, 1 / 16).pvalue > 1e-4


def test_sometimes_mixes_with_chance_p():
    for p in (0.0, 0.3, 1.0):
        mixed = ma.sometimes(p, ma.MixUp(alpha=100.0)).draw(N, (1,), key=(5, 0)).lam[1] > 0
        assert stats.binomtest(int(mixed.sum()), N, p).pvalue > 1e-3


def test_gridmix_cells_are_bernoulli_and_whole():
    dense = ma.GridMix(alpha=50.0, cells=4).draw(4000, (8, 12), key=(0, 0)).pixel_weights()[1]
    cells = dense.reshape(4000, 4, 2, 4, 3)
    assert (cells == cells[:, :, :1, :, :1]).all()
    counts = cells[:, :, 0, :, 0].sum(axis=0).ravel()
    assert stats.chisquare(counts).pvalue > 1e-3
    weights = ma.GridMix(alpha=1.0, cells=64).draw(2000, (64, 64), key=(0, 0)).lam[1]
    assert stats.kstest(weights, "uniform").pvalue > 1e-3  # with many cells the pasted fraction is 1 - lam ~ Beta(1, 1)


def test_smoothmix_spots_have_the_paper_s_sigma_and_a_uniform_centre():
    size = (61, 61)
    own = ma.SmoothMix().draw(3000, size, key=(0, 0)).pixel_weights()[0]
    top = own.reshape(3000, -1).argmax(axis=1)
    row, column = np.divmod(top, 61)
    for centre in (row, column):
        assert stats.chisquare(np.bincount(centre, minlength=61)).pvalue > 1e-3
    middle = (row > 20) & (row < 40) & (column > 20) & (column < 40)
    peak, beside = own[middle, row[middle], column[middle]], own[middle, row[middle], column[middle] + 15]
    before = own[middle, row[middle], column[middle] - 15]
    sigma = 15 / np.sqrt(-(np.log(beside) + np.log(before) - 2 * np.log(peak)))
    assert stats.kstest(sigma / 61, stats.uniform(0.25, 0.25).cdf).pvalue > 1e-3


def test_rows_and_steps_use_different_random_bits():
    """Random bits of different rows, blocks, keys and of the ranking do not repeat."""
    from mixaug import backends
    from mixaug.core import keys

    xp, seen = backends.common(), []
    for step in range(50):
        key = keys.make((0, step))
        seen += [
            keys.random_bits(xp, key, np.arange(50, dtype=np.uint32), 6),
            keys.rank_bits(xp, key, np.arange(50, dtype=np.uint32))[None],
        ]
        seen.append(np.stack(Draw(xp, key, np.arange(50, dtype=np.uint32), (1,), (1,)).child(0).random_bits(2)))
    values = np.concatenate([words.ravel() for words in seen])
    assert len(values) - len(np.unique(values)) < 10  # the birthday bound for 22,500 words of 32 bits is 0.06


def test_a_box_is_what_its_words_say():
    """The box of each row, computed from its random bits with integers."""
    from mixaug import backends
    from mixaug.core import keys

    n, size = 300, (37, 50)
    words = keys.random_bits(backends.common(), keys.make((3, 4)), np.arange(n, dtype=np.uint32), 3)
    box = ma.CutMix(alpha=0.7).draw(n, size, key=(3, 4)).region.box[1]
    for row in range(n):
        lam = stats.beta(0.7, 0.7).ppf((int(words[0, row]) // 2**16 + 0.5) / 2**16)
        for axis, length in enumerate(size):
            side = int(np.floor(np.float32(np.sqrt(1 - lam)) * np.float32(length)))
            centre = int(words[1 + axis, row]) // 2**8 * length // 2**24
            start = centre - side // 2
            assert box[row, axis].tolist() == [max(start, 0), min(start + side, length)]


def test_what_a_branch_draws_depends_neither_on_the_choice_nor_on_its_siblings():
    lam = ma.sometimes(0.5, ma.MixUp(alpha=1.0)).draw(N, (1,), key=(0, 0)).lam
    mixed = lam[:, lam[1] > 0]
    assert stats.kstest(mixed[0], "uniform").pvalue > 1e-3
    one, other = (
        ma.one_of(ma.MixUp(), ma.MixUp(), weights=weights).draw(N, (1,), key=(0, 0)).lam[0]
        for weights in ((1, 0), (0, 1))
    )
    assert stats.pearsonr(one, other).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.4, 1.0])
def test_mixup_without_labels_has_the_same_expectation(alpha):
    """Huszar 2017: averaged over pairs, the loss of a blend against both labels equals that of a blend whose weight of
    the base sample is Beta(alpha + 1, alpha), against the label of the base sample."""
    rng = np.random.default_rng(0)
    n, classes = N, 3
    y = rng.integers(0, classes, n)
    x = y + rng.normal(size=n)

    def loss(x, label):
        return np.log1p(np.exp(np.outer(x, [1.0, -2.0, 0.5]) + np.array([0, 1, -1])))[np.arange(n), label]

    mix = ma.MixUp(alpha=alpha).draw(n, (1,), key=(0, 0))
    other = x[mix.index[1]], y[mix.index[1]]
    own = mix.lam[0].astype(np.float64)
    blend = own * x + (1 - own) * other[0]
    both = own * loss(blend, y) + (1 - own) * loss(blend, other[1])

    def of_own_label(a: float, b: float) -> np.ndarray:
        weight = stats.beta(a, b).ppf((np.arange(n) + 0.5) / n)[rng.permutation(n)]
        return loss(weight * x + (1 - weight) * other[0], y)

    def apart(one: np.ndarray) -> float:
        return abs((both - one).mean()) / ((both - one).std() / np.sqrt(n))

    assert apart(of_own_label(alpha + 1, alpha)) < 3.5
    assert apart(of_own_label(alpha, alpha)) > 3.5  # the test can fail


@pytest.mark.parametrize("alpha", [0.4, 1.0, 3.0])
def test_size_biased_lam_is_beta_of_alpha_plus_one(alpha):
    """The same on MixUp's own draws: E[2 w f(w)] = E[f(v)], w ~ Beta(alpha, alpha), v ~ Beta(alpha + 1, alpha)."""
    w = ma.MixUp(alpha=alpha).draw(10 * N, (1,), key=(0, 0)).lam[0].astype(np.float64)
    for power in (1, 2, 5):
        seen = 2 * w * w**power
        assert abs(seen.mean() - stats.beta(alpha + 1, alpha).moment(power)) < 4 * seen.std() / np.sqrt(len(w))
