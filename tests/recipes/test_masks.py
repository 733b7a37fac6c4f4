"""Masks of noise, tokens and soft spots: their statistics, and known results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage, stats

import mixaug as ma
import ways
from mixaug import backends
from mixaug.core import keys
from mixaug.recipes import noise
from mixaug.recipes.masks import lowest
from mixaug.recipes.recipe import Draw

N = 3000
SURE = 1.95  # sqrt(n) times the Kolmogorov distance is below this with probability 0.999
KEY = (0, 0)
NOISE = [ma.FMix(), ma.CowMix(), ma.TokenMix(token=3)]


def draw_of(n: int, size: tuple[int, ...], key: tuple[int, ...] = KEY) -> Draw:
    return Draw(backends.common(), keys.make(key), np.arange(n, dtype=np.uint32), size, size)


def landscapes(recipe: ma.Recipe, n: int, size: tuple[int, ...]) -> np.ndarray:
    """The noise that a recipe thresholds, (n, *size)."""
    draw = draw_of(n, size)
    return recipe._height(draw, draw.random_bits(1 + draw_words(recipe, size))[1:]).astype(np.float64)


def draw_words(recipe: ma.Recipe, size: tuple[int, ...]) -> int:
    cycles = noise.CYCLES if isinstance(recipe, ma.FMix) else noise._cycles(recipe.low)
    return noise._words(cycles, len(size)) + isinstance(recipe, ma.CowMix)


def masks(recipe: ma.Recipe, n: int, size: tuple[int, ...]) -> np.ndarray:
    return recipe.draw(n, size, key=KEY).pixel_weights()[1]


def under(height: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The masks of the lowest values of noise, by sorting, for reference implementations."""
    flat = height.reshape(len(height), -1)
    order = np.argsort(np.argsort(flat, axis=1), axis=1)
    return (order < np.rint(part[:, None] * flat.shape[1])).reshape(height.shape)


def patches(mask: np.ndarray) -> float:
    """The mean number of connected components of either kind."""
    return float(np.mean([ndimage.label(m)[1] + ndimage.label(~m)[1] for m in mask]))


def borders(mask: np.ndarray) -> np.ndarray:
    """The fraction of neighbors along the last axis with different mask values."""
    return (mask[..., 1:] != mask[..., :-1]).mean(axis=tuple(range(1, mask.ndim)))


# how much


def distance(pixels: np.ndarray, distribution: stats.rv_continuous, of: int) -> float:
    """The Kolmogorov distance of pixel counts from a distribution on `of` pixels, rounded, times sqrt(n)."""
    at = np.arange(of + 1)
    below = np.searchsorted(np.sort(np.rint(pixels)), at, side="right") / len(pixels)
    return float(np.sqrt(len(pixels)) * abs(below - distribution.cdf((at + 0.5) / of)).max())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("make", [ma.FMix, lambda alpha: ma.TokenMix(alpha, token=1)], ids=["FMix", "TokenMix"])
def test_areas_are_beta(make, alpha):
    pixels = make(alpha).draw(N, (39, 41), key=KEY).lam[1] * 39 * 41
    assert distance(pixels, stats.beta(alpha, alpha), 39 * 41) < SURE
    assert distance(pixels, stats.beta(alpha * 1.25, alpha), 39 * 41) > SURE  # the test can fail


def test_areas_of_cowmix_are_uniform():
    lam = ma.CowMix().draw(N, (39, 41), key=KEY).lam[1]
    assert stats.kstest(lam, stats.uniform(0.2, 0.6).cdf).pvalue > 1e-3
    assert stats.kstest(lam, stats.uniform(0.25, 0.75).cdf).pvalue < 1e-3  # the range of the paper's erasing


@pytest.mark.parametrize("recipe", [ma.FMix(alpha=0.7), ma.TokenMix(alpha=0.7, token=1)], ids=repr)
@pytest.mark.parametrize("size", [(31, 23), (7,), (4, 3, 5)])
def test_an_area_is_what_its_word_says(recipe, size):
    """round((1 - lam) * pixels), with lam from the row's first random bits."""
    words, pixels = draw_of(200, size).random_bits(1)[0], math.prod(size)
    lam = stats.beta(0.7, 0.7).ppf((words // 2**16 + 0.5) / 2**16)
    wanted = np.rint((1 - lam) * pixels)
    np.testing.assert_array_equal(np.rint(recipe.draw(200, size, key=KEY).lam[1] * pixels), wanted)


def test_small_alpha_gives_numbers():
    for recipe in (ma.FMix(alpha=0.001), ma.TokenMix(alpha=0.001), ma.GMix(alpha=0.001)):
        lam = recipe.draw(500, (16, 16), key=KEY).lam
        assert np.isfinite(lam).all()
        assert (lam.max(axis=0) > 0.99).mean() > 0.9


def test_lowest_by_hand():
    values = np.array([[5, -1, 3, 9], [-(2**30), 2**30 - 2, 0, 1], [7, 7, 7, 8]], np.int32)
    for part, expected in [
        (0.0, [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        (0.5, [[0, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]]),  # of three equal sources, two have weight 0
        (0.75, [[1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 1, 0]]),
        (1.0, [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]),
    ]:
        got = lowest(draw_of(3, (4,)), values, np.full(3, part, np.float32))
        np.testing.assert_array_equal(got, expected)


def test_lowest_is_what_sorting_gives():
    rng = np.random.default_rng(0)
    values = rng.permutation(2**16)[: 40 * 35].reshape(5, 8, 35).astype(np.int32) - 2**15
    part = rng.random(5).astype(np.float32)
    np.testing.assert_array_equal(lowest(draw_of(5, (8, 35)), values, part), under(values, part))


# FMix


def fourier(n: int, size: tuple[int, ...], decay: float, cycles: float = np.inf) -> np.ndarray:
    """The paper's noise: the real part of the Fourier transform of complex normal numbers / |frequency|^decay."""
    rng = np.random.default_rng(1)
    frequency = np.sqrt(sum(f**2 for f in np.meshgrid(*map(np.fft.fftfreq, size), indexing="ij")))
    amplitude = np.where(frequency * max(size) > cycles + 1e-9, 0, np.maximum(frequency, 1 / max(size)) ** -decay)
    spectrum = (rng.normal(size=(n, *size)) + 1j * rng.normal(size=(n, *size))) * amplitude
    return np.fft.ifftn(spectrum, axes=tuple(range(1, 1 + len(size)))).real


def power(height: np.ndarray) -> np.ndarray:
    return (abs(np.fft.fftn(height, axes=tuple(range(1, height.ndim)))) ** 2).mean(axis=0)


def slope(height: np.ndarray) -> float:
    """The slope of log mean power over log frequency, on rings from 1 to 8 cycles."""
    size = height.shape[1:]
    frequency = np.sqrt(sum((f * max(size)) ** 2 for f in np.meshgrid(*map(np.fft.fftfreq, size), indexing="ij")))
    ring, spectrum = np.rint(frequency), power(height)
    means = [(frequency[ring == r].mean(), spectrum[ring == r].mean()) for r in range(1, 8)]
    return float(np.polyfit(*np.log(means).T, 1)[0])


@pytest.mark.parametrize("decay", [0.0, 1.5, 3.0])
@pytest.mark.parametrize("size", [(48, 48), (96, 48), (64,), (24, 20, 24)], ids=str)
def test_fmix_noise_falls_as_the_papers(size, decay):
    n = 4000 if len(size) == 1 else 300
    ours, theirs = slope(landscapes(ma.FMix(decay=decay), n, size)), slope(fourier(n, size, decay))
    assert abs(ours - theirs) < 0.1
    assert abs(ours + 2 * decay) < 0.05 + 0.1 * decay  # the mean over a ring differs from the value at its radius


def test_fmix_noise_has_the_same_power_in_every_direction_and_phase():
    """Waves of 2 pixels have the same power along both axes of a wide image, and in between."""
    spectrum = power(landscapes(ma.FMix(decay=2.0), 3000, (40, 80)))
    across, down, both = spectrum[0, 4], spectrum[2, 0], spectrum[2, 4]
    assert abs(across / down - 1) < 0.12  # four standard deviations of 3000 squares
    assert abs(across / spectrum[0, 2] * 4**2 - 1) < 0.12
    assert abs(both / across * (4**2 + 4**2) ** 2 / 4**4 - 1) < 0.12
    height = landscapes(ma.FMix(decay=2.0), 3000, (16, 16))
    variance = height.var(axis=0)
    assert variance.max() / variance.min() < 1.3


def test_fmix_masks_look_as_the_papers():
    size, n = (48, 48), 600
    ours = masks(ma.FMix(), n, size)
    theirs = under(fourier(n, size, 3.0), ours.mean(axis=(1, 2)))
    assert abs(patches(ours) - patches(theirs)) < 0.35
    assert stats.ks_2samp(borders(ours), borders(theirs)).pvalue > 1e-3
    assert stats.ks_2samp(borders(ours), borders(under(fourier(n, size, 2.0), ours.mean(axis=(1, 2))))).pvalue < 1e-6


@pytest.mark.parametrize(("decay", "most"), [(3.0, 1 / 380), (2.0, 1 / 35)])
def test_fmix_leaves_out_waves_that_move_few_pixels(decay, most):
    """The docstring's figures for waves above 8 cycles: one pixel in 400, with a decay of 2 one in 40."""
    part = np.random.default_rng(0).random(100)
    whole, cut = (under(fourier(100, (112, 112), decay, cycles), part) for cycles in (np.inf, noise.CYCLES))
    assert most / 2 < (whole != cut).mean() < most


def test_noise_of_fmix_by_hand():
    """In 1D: the sum over frequencies of normal / frequency^decay times cosine and sine, except for rounding."""
    n, length, decay = 50, 90, 1.0
    draw = draw_of(n, (length,))
    words = draw.random_bits(10)[1:]
    normal = stats.norm.ppf((np.concatenate([words >> 16, words & 0xFFFF]) + 0.5) / 2**16)[:17].T
    angle = 2 * np.pi * np.arange(length) * np.arange(1, 9)[:, None] / length
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=1) / np.arange(1, 9)[:, None, None] ** decay
    expected = normal[:, 1:] @ waves.reshape(16, length)
    got = ma.FMix(decay=decay)._height(draw, words).astype(np.float64)
    scale = (got * expected).sum() / (expected**2).sum()
    assert abs(got / scale - expected).max() < 0.02


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("recipe", [ma.FMix(decay=0), ma.FMix(), ma.FMix(decay=60), ma.CowMix(), ma.CowMix(0.05, 0.5)])
def test_no_landscape_leaves_32_bits(recipe, axes):
    """The largest normal numbers, with signs that add up at one pixel: the sums in 64 bits."""
    size = (13, 12, 11)[:axes]
    draw, high = draw_of(1, size), int(noise._normal().max())
    if isinstance(recipe, ma.FMix):
        cycles, amplitude = noise.CYCLES, recipe._amplitudes(draw)
        steps = [noise.TURN // length for length in size]
    else:
        cycles, amplitude = noise._cycles(recipe.low), noise._gaussian(recipe.low, axes)
        steps = [noise.TURN // (length * 3) for length in size]
    waves = [noise._waves(draw.xp, s, np.array([step], np.int32), cycles) for s, step in zip(size, steps, strict=True)]
    at = waves[0][0, 5]
    for wave in waves[1:]:
        at = np.multiply.outer(at, wave[0, 3].astype(np.int64))
    normal = np.where(at < 0, -high, high).astype(np.int32).reshape(1, -1)
    height = noise._landscape(draw, normal, amplitude, waves)
    expected = (abs(at) * (high * amplitude.astype(np.int64) / noise.NORMAL)).sum() / noise.HEIGHT ** (axes - 1)
    got = height[(0, 5, 3, 3)[: 1 + axes]]
    assert abs(got - expected) < 0.01 * expected + 2e6  # every product and sum is rounded down
    assert 2**24 < got < 2**30


# CowMix


def smoothed(n: int, size: tuple[int, ...], sigma: float) -> np.ndarray:
    """White noise, smoothed on a larger canvas."""
    rng, pad = np.random.default_rng(2), math.ceil(5 * sigma)
    wide = rng.normal(size=(n, *(length + 2 * pad for length in size)))
    filtered = ndimage.gaussian_filter(wide, sigma, axes=tuple(range(1, wide.ndim)))
    return filtered[(slice(None), *[slice(pad, pad + length) for length in size])]


@pytest.mark.parametrize(("size", "part"), [((32, 32), 0.125), ((32, 32), 0.25), ((64, 32), 0.125), ((200,), 0.06)])
def test_cowmix_noise_correlates_as_smoothed_noise(size, part):
    """Half the mean square of a difference is 1 - exp(-d^2 / (4 sigma^2)) of the variance, along each axis."""
    height = landscapes(ma.CowMix(low=part, high=part), 4000 if len(size) == 1 else 1500, size)
    for axis, length in enumerate(size):
        sigma = part * length
        height_along = np.moveaxis(height, 1 + axis, -1)
        far = round(2 * sigma)
        measured = []
        for d in (round(sigma / 2), round(sigma), far):
            measured.append(((height_along[..., d:] - height_along[..., :-d]) ** 2).mean())
        theory = [1 - np.exp(-(d**2) / (4 * sigma**2)) for d in (round(sigma / 2), round(sigma), far)]
        np.testing.assert_allclose(np.divide(measured, measured[-1]), np.divide(theory, theory[-1]), rtol=0.06)


@pytest.mark.parametrize("part", [0.03, 0.06])
def test_cowmix_borders_are_as_far_apart_as_sigma_says(part):
    """Rice: noise of correlation exp(-d^2 / (4 sigma^2)) crosses its mean 1 / (pi sqrt(2) sigma) times a pixel."""
    mask = masks(ma.CowMix(low=part, high=part, least=0.5, most=0.5), 64, (128, 128))
    sigma = part * 128
    assert abs(borders(mask).mean() * np.pi * np.sqrt(2) * sigma - 1) < 0.05


@pytest.mark.parametrize("sigma", [4, 8, pytest.param(16, marks=pytest.mark.full)])
def test_cowmix_masks_look_as_smoothed_noise(sigma):
    """With the paper's sigmas and size, including the borders of the image."""
    n, size = 400, (32, 32)
    ours = masks(ma.CowMix(low=sigma / 32, high=sigma / 32), n, size)
    theirs = under(smoothed(n, size, sigma), ours.mean(axis=(1, 2)))
    assert abs(patches(ours) - patches(theirs)) < 0.2
    assert stats.ks_2samp(borders(ours), borders(theirs)).pvalue > 1e-3
    other = under(smoothed(n, size, sigma * 2), ours.mean(axis=(1, 2)))
    assert stats.ks_2samp(borders(ours), borders(other)).pvalue < 1e-3  # the test can fail


def test_cowmix_sigmas_are_log_uniform():
    turned = noise._turned(0.125, 0.5)[draw_of(N, (1,)).random_bits(2)[1] >> 16]
    sigma = noise.TURN / (turned * noise._period(0.125))
    assert stats.kstest(np.log(sigma), stats.uniform(np.log(0.125), np.log(4)).cdf).pvalue > 1e-3


def test_cowmix_sigmas_differ_from_row_to_row():
    """Rows of small sigma have more edges; the row's random bits determine sigma."""
    recipe, size = ma.CowMix(low=0.05, high=0.5, least=0.5, most=0.5), (64, 64)
    order = noise._turned(0.05, 0.5)[draw_of(300, size).random_bits(2)[1] >> 16]
    assert stats.spearmanr(order, borders(masks(recipe, 300, size))).statistic > 0.85


def test_cowmix_noise_continues_beyond_the_border():
    """Elsewhere: the noise ends at the border, so that small spots avoid it."""
    n, size, sigma = N, (32, 32), 4
    ours = masks(ma.CowMix(low=sigma / 32, high=sigma / 32, least=0.2, most=0.2), n, size).mean(axis=0)
    theirs = under(smoothed(n, size, sigma), np.full(n, 0.2)).mean(axis=0)
    for at in (np.s_[0, :], np.s_[:, -1], np.s_[12:20, 12:20]):
        assert abs(ours[at].mean() - theirs[at].mean()) < 0.02
    assert ours[0].mean() > ours[12:20, 12:20].mean()


# TokenMix


@pytest.mark.parametrize(("size", "token"), [((32, 48), 16), ((9, 7), 4), ((13,), 5), ((5, 6, 4), 2), ((3, 3), 16)])
def test_every_token_has_one_source(size, token):
    mask = masks(ma.TokenMix(token=token), 50, size)
    for corner in np.ndindex(*(math.ceil(length / token) for length in size)):
        cell = mask[(slice(None), *[slice(c * token, (c + 1) * token) for c in corner])].reshape(50, -1)
        assert (cell == cell[:, :1]).all()
    mix = ma.TokenMix(token=token).draw(50, size, key=KEY)
    np.testing.assert_allclose(mix.lam[1], mask.reshape(50, -1).mean(axis=1), atol=2**-24)


def test_tokens_are_chosen_alike_and_apart():
    tokens = masks(ma.TokenMix(alpha=100.0, token=4), 4000, (16, 16))[:, ::4, ::4].reshape(4000, 16)
    assert stats.chisquare(tokens.sum(axis=0)).pvalue > 1e-3
    together = np.corrcoef(tokens.T)[~np.eye(16, dtype=bool)]
    assert abs(together + 1 / 15).max() < 0.09  # the number of tokens is fixed, so tokens have a correlation of -1 / 15


def test_tokens_of_any_lattice_differ():
    """Neighbors along both axes are independent."""
    mask = masks(ma.TokenMix(alpha=100.0, token=2), 200, (16, 24))
    for step in [(2, 0), (0, 2), (2, 2)]:
        moved = np.roll(mask, step, axis=(1, 2))
        assert 0.4 < (moved != mask).mean() < 0.6


# GMix


def test_gmix_spots_by_hand():
    """In float64, with lam and center from the row's random bits."""
    n, size = 300, (20, 33)
    words = draw_of(n, size).random_bits(3)
    lam = stats.beta(0.8, 0.8).ppf((words[0] // 2**16 + 0.5) / 2**16)
    own = ma.GMix(alpha=0.8).draw(n, size, key=KEY).pixel_weights()[0]
    for row in range(n):
        less = min(lam[row], 1 - lam[row])
        centre = [int(words[1 + a, row]) // 2**8 * size[a] // 2**24 for a in (0, 1)]
        off = [(np.arange(size[a]) - centre[a]) / (size[a] * np.sqrt(less)) for a in (0, 1)]
        spot = np.exp(-np.pi * (off[0][:, None] ** 2 + off[1][None, :] ** 2))
        np.testing.assert_allclose(own[row], spot if lam[row] < 0.5 else 1 - spot, atol=2e-5)


@pytest.mark.parametrize("size", [(96, 96), (48, 480), (2000,), (24, 30, 36)], ids=str)
def test_gmix_spots_have_the_part_for_their_integral(size):
    """If the border does not clip the spot, the weights are lam and 1 - lam."""
    n = 1500
    words = draw_of(n, size).random_bits(1 + len(size))
    part = stats.beta(0.5, 0.5).ppf((words[0] // 2**16 + 0.5) / 2**16)
    lam = ma.GMix(alpha=0.5).draw(n, size, key=KEY).lam
    less = np.minimum(part, 1 - part)
    whole = less * math.prod(size) > 4
    for axis, length in enumerate(size):
        centre, side = np.floor((words[1 + axis] >> 8) / 2**24 * length), length * less ** (1 / len(size))
        whole &= (np.minimum(centre, length - 1 - centre) > 1.2 * side) & (side > 2)
    assert whole.sum() > 20
    np.testing.assert_allclose(lam[0, whole], part[whole], rtol=0.015)


def test_gmix_spots_have_the_images_aspect():
    """Elsewhere: the width of the spot depends on the height, or non-square images raise."""
    mask = masks(ma.GMix(), 4000, (16, 160))
    spot = np.where(mask.mean(axis=(1, 2), keepdims=True) < 0.5, mask, 1 - mask)
    clear = (spot[:, [0, -1]].max(axis=(1, 2)) < 1e-3) & (spot[:, :, [0, -1]].max(axis=(1, 2)) < 1e-3)
    clear &= spot.sum(axis=(1, 2)) > 30
    height, width = (np.sqrt(spread(spot[clear].sum(axis=axis))) for axis in (2, 1))
    assert clear.sum() > 50
    np.testing.assert_allclose(width / height, 10, rtol=0.05)


def spread(profile: np.ndarray) -> np.ndarray:
    """The variance of each row of weights."""
    at, weight = np.arange(profile.shape[1]), profile / profile.sum(axis=1, keepdims=True)
    mean = (weight * at).sum(axis=1, keepdims=True)
    return (weight * (at - mean) ** 2).sum(axis=1)


def test_gmix_centres_are_uniform_and_the_smaller_part_is_the_spot():
    own = ma.GMix().draw(N, (21, 13), key=KEY).pixel_weights()[0]
    small = own.mean(axis=(1, 2)) < 0.5
    assert stats.binomtest(int(small.sum()), N).pvalue > 1e-3
    spot = np.where(small[:, None, None], own, 1 - own)
    assert (spot.max(axis=(1, 2)) > 1 - 1e-6).all()
    row, column = np.divmod(spot.reshape(N, -1).argmax(axis=1), 13)
    assert stats.chisquare(np.bincount(row, minlength=21)).pvalue > 1e-3
    assert stats.chisquare(np.bincount(column, minlength=13)).pvalue > 1e-3


# all of them


@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
def test_products_of_whole_numbers_are_exact(way):
    """Integers beyond float32, and the largest sums of waves."""
    rng = np.random.default_rng(0)
    x = rng.integers(-362, 363, (1, 3, 40, 17)).astype(np.int32)
    y = rng.integers(-(2**17), 2**17, (5, 3, 17, 9)).astype(np.int32)
    expected = (x.astype(np.int64) @ y).astype(np.int32)
    assert abs(expected).max() > 2**26
    ways.assert_same(way(lambda x, y: backends.of(x).matmul(x, y), x, y), expected, ways.array_of(way))


@pytest.mark.parametrize("recipe", [*NOISE, ma.FMix(alpha=0.3, decay=0.0)], ids=repr)
def test_large_masks_are_the_same_in_every_library(recipe):
    """The sizes in the invariants' tests are small; these are large, and unknown until run time."""
    n, size = 3, (131, 77)
    expected = recipe.draw(n, size, key=KEY)
    for like in ways.LIKES.values():
        mix = recipe.draw(n, size, key=KEY, like=like)
        np.testing.assert_array_equal(ways.values(mix.region.weight), expected.region.weight)
        np.testing.assert_array_equal(ways.values(mix.lam), expected.lam)
    tf = ways.tf

    @tf.function(input_signature=[tf.TensorSpec((None, None, None))])
    def of_unknown_size(x):
        mix = recipe.draw(tf.shape(x)[0], (tf.shape(x)[1], tf.shape(x)[2]), key=KEY, like=x)
        return mix.region.weight, mix.lam

    weight, lam = of_unknown_size(tf.zeros((n, *size)))
    np.testing.assert_array_equal(weight, expected.region.weight)
    np.testing.assert_array_equal(lam, expected.lam)


@pytest.mark.parametrize("recipe", NOISE, ids=repr)
def test_masks_are_bools_and_distinct(recipe):
    mix = ma.per_batch(recipe).draw(4, (33, 47), key=KEY)
    assert mix.region.weight.dtype == bool
    assert len(np.unique(mix.region.weight[1], axis=0)) == 1
    apart = masks(recipe, 40, (33, 47))
    assert len(np.unique(apart, axis=0)) >= 38  # masks may coincide if nearly everything or nothing is pasted


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ma.FMix(alpha=0), "FMix alpha: expected a finite number of 1e-09 or more and at most .*, got 0"),
        (lambda: ma.FMix(decay=-1), "FMix decay: expected a finite number of 0 or more and at most 100, got -1"),
        (lambda: ma.FMix(decay=float("inf")), "FMix decay: .* got inf"),
        (lambda: ma.CowMix(low=0.01), "CowMix low: expected a finite number of 0.02 or more, got 0.01"),
        (lambda: ma.CowMix(low=0.5, high=0.25), "CowMix high: expected a finite number of 0.5 or more, got 0.25"),
        (lambda: ma.CowMix(least=-0.1), "CowMix least: expected a finite number of 0 or more and at most 1, got -0.1"),
        (lambda: ma.CowMix(most=0.1), "CowMix most: expected a finite number of 0.2 or more and at most 1, got 0.1"),
        (lambda: ma.CowMix(most=1.1), "CowMix most: .* at most 1, got 1.1"),
        (
            lambda: ma.TokenMix(alpha=-1),
            "TokenMix alpha: expected a finite number of 1e-09 or more .*, got -1",
        ),
        (lambda: ma.TokenMix(token=0), r"TokenMix token: expected a whole number of 1 or more.*, got 0"),
        (lambda: ma.TokenMix(token=16.0), r"TokenMix token: expected a whole number of 1 or more.*, got 16.0"),
        (lambda: ma.GMix(alpha="1"), "GMix alpha: expected a finite number of 1e-09 or more and at most .*, got '1'"),
    ],
)
def test_options_that_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
