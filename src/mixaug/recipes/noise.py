"""Binary masks from thresholded noise: the lowest pixels of a random field are pasted from a partner.

The field is a sum of waves in integer arithmetic, so it and the mask are the same in every library: libraries do not
agree on the last bits of sums, Fourier transforms and cosines of floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .. import backends
from ..backends import Array, Library
from ..core.keys import ONE, bits16, look_up
from ..core.regions import Dense, Region
from .lam import LamRecipe
from .masks import lowest, partner_parts
from .recipe import Draw, Recipe, check_number, keep

CYCLES = 8  #: the highest frequency of FMix, in cycles along the longest side
TURN = 2**26  #: steps in a period of a wave; 30 periods, the maximum, stay below 2^31
COSINES = 4096  #: entries in the table of a period
HEIGHT = 256  #: the root mean square of a wave; its amplitude is sqrt(2) times that, 362
NORMAL = 256  #: the standard deviation of the random numbers; with 16 bits none exceeds 4.33 times that
FINE = 32  #: frequencies are multiples of 1 / FINE cycles along the longest side


@dataclass(frozen=True, repr=False)
class FMix(LamRecipe):
    """Paste a partner through a binary mask: low-frequency Fourier noise, thresholded at lam.

        height[pixel] = sum_f normal[f] * |f|^-decay * wave[f, pixel]
        weight[1, pixel] = [pixel is among the round((1 - lam) * pixels) lowest],  lam ~ Beta(alpha, alpha)
        f in cycles along the longest side, 0 < |f| <= 8

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        decay: how fast amplitudes fall with frequency, 0 to 100; large values give few, large patches.
        lam: the fraction of pixels of the base sample in place of alpha: a number, or (low, high) to draw it
            uniformly.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.FMix(alpha=1.0, decay=3.0).draw(2, size=(8, 8), key=(0, 0))
        >>> (mix.pixel_weights().mean(axis=(2, 3)) == mix.lam).all()
        np.True_

    Good for masks of irregular shape, which a network cannot learn to expect as it can a box. Drawing one takes longer
    than drawing a box.

    Harris et al. 2020, "FMix: Enhancing Mixed Sample Data Augmentation": real noise on the grid of
    the Fourier transform. The paper uses all frequencies; with decay=3 those above 8 cycles change one pixel in 400,
    with decay=2 one in 40. The paper draws one mask per batch: `per_batch(FMix(...))`.
    """

    decay: float = 3.0
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, decay=check_number("FMix decay", self.decay, 0, 100, open_low=False))

    def region(self, draw: Draw) -> Region:
        """Return the mask: the partner where the field is lowest."""
        bits = draw.random_bits(1 + _words(CYCLES, len(draw.size)))
        part = look_up(draw.xp, partner_parts(self.law), bits[0])
        pasted = lowest(draw, self._height(draw, bits[1:]), part)
        return Dense(draw.xp.stack([~pasted, pasted]))

    def _height(self, draw: Draw, bits: Array) -> Array:
        """Return the field, int32 (n, *size), from waves with a whole number of periods in the image."""
        xp, axes = draw.xp, range(len(draw.size))
        steps = [xp.cast(xp.reshape(TURN // _length(draw, axis), (1,)), "int32") for axis in axes]
        waves = [_waves(xp, draw.size[axis], steps[axis], CYCLES) for axis in axes]
        return _landscape(draw, _normals(xp, bits), self._amplitudes(draw), waves)

    def _amplitudes(self, draw: Draw) -> Array:
        """Return int32 (waves, .., waves): the amplitude of each product of waves, from its frequency."""
        xp, lengths = draw.xp, [_length(draw, axis) for axis in range(len(draw.size))]
        longest = lengths[0]
        for length in lengths[1:]:
            longest = xp.maximum(longest, length)
        top = FINE * CYCLES + 1
        along = [xp.minimum(xp.table(_turns(CYCLES)) * (FINE * longest // length), top) for length in lengths]
        squares = [_spread(f * f, axis, len(lengths)) for axis, f in enumerate(along)]
        square = xp.minimum(sum(squares[1:], squares[0]), top**2)
        return xp.take(xp.table(_decayed(self.decay, len(lengths))), square)


@dataclass(frozen=True)
class CowMix(Recipe):
    """Paste a partner through a binary mask: Gaussian-smoothed noise, thresholded, like the spots of a cow.

        height = white noise * Gaussian of sigma[a] = s * size[a],  log s ~ U(log low, log high)
        weight[1, pixel] = [pixel is among the round(p * pixels) lowest],  p ~ U(least, most)

    Args:
        low: the smallest sigma as a fraction of each side, at least 0.02.
        high: the largest sigma as a fraction of each side, at least low.
        least: the smallest fraction of pixels that is pasted, 0 to 1.
        most: the largest fraction, least to 1.

    Raises:
        ValueError: if an option is out of its range.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.CowMix(least=0.25, most=0.25).draw(2, size=(8, 8), key=(0, 0))
        >>> mix.lam[1]
        array([0.25, 0.25], dtype=float32)

    Good for semi-supervised training, for which it was designed: every output keeps a large part of both samples.
    Drawing a mask takes longer than drawing a box.

    French et al. 2020, "Milking CowMask for Semi-Supervised Image Classification", where sigma is 4 to 16 of 32
    pixels; here it is relative to each side. The paper thresholds at the p-quantile of a normal distribution; here
    exactly the fraction p of the pixels is below the threshold. In the paper the noise ends at the image's border; here
    it continues beyond. Labels follow the pixels; the paper's teacher is not part of the mix.
    """

    low: float = 0.125
    high: float = 0.5
    least: float = 0.2
    most: float = 0.8
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(self, low=check_number("CowMix low", self.low, 0.02, open_low=False))
        keep(self, high=check_number("CowMix high", self.high, self.low, open_low=False))
        keep(self, least=check_number("CowMix least", self.least, 0, 1, open_low=False))
        keep(self, most=check_number("CowMix most", self.most, self.least, 1, open_low=False))

    def region(self, draw: Draw) -> Region:
        """Return the mask: the partner where the field is lowest."""
        bits = draw.random_bits(2 + _words(_cycles(self.low), len(draw.size)))
        part = look_up(draw.xp, _between(self.least, self.most), bits[0])
        pasted = lowest(draw, self._height(draw, bits[1:]), part)
        return Dense(draw.xp.stack([~pasted, pasted]))

    def _height(self, draw: Draw, bits: Array) -> Array:
        """Return the field, int32 (n, *size), from waves whose lengths are proportional to each row's sigma."""
        xp, axes = draw.xp, range(len(draw.size))
        turned = look_up(xp, _turned(self.low, self.high), bits[0])
        waves = [_waves(xp, draw.size[axis], turned // _length(draw, axis), _cycles(self.low)) for axis in axes]
        amplitude = xp.table(_gaussian(self.low, len(draw.size)))
        return _landscape(draw, _normals(xp, bits[1:]), amplitude, waves)


def _landscape(draw: Draw, normal: Array, amplitude: Array, waves: Sequence[Array]) -> Array:
    """Return int32 (n, *size): a sum of products of one wave per axis, with random amplitudes; |sum| < 2^30.

    By `_whole` the amplitudes sum to less than 1.25 * 2^29 / 362 / sqrt(2)^(axes - 1). A sum over the waves of an axis
    is at most 362 times that, and sqrt(2) times after the division by 256: no intermediate sum reaches 2^30 either.
    """
    xp, left = draw.xp, 1
    count = math.prod(amplitude.shape)
    total = normal[:, :count] * xp.reshape(amplitude, (1, count)) // NORMAL
    for axis in reversed(range(len(waves))):
        before, along = amplitude.shape[0] ** axis, waves[axis]
        total = xp.matmul(along[:, None], xp.reshape(total, (draw.n, before, amplitude.shape[0], left)))
        total = total // HEIGHT if axis else total
        left = left * draw.size[axis]
    return xp.reshape(total, (draw.n, *draw.size))


def _waves(xp: Library, length: Any, step: Array, cycles: int) -> Array:
    """Return int32 (m, length, 1 + 2 * cycles): HEIGHT times 1, sqrt(2) cos and sqrt(2) sin of each wave at each pixel.

    The slowest wave advances by step / TURN periods per pixel, int32 (m,).
    """
    turned = xp.arange(length)[None, :] * step[:, None] % TURN
    place = turned[:, :, None] * xp.table(_turns(cycles)) // (TURN // COSINES) + xp.table(_starts(cycles))
    return xp.take(xp.table(_cosines()), place % COSINES)


def _normals(xp: Library, bits: Array) -> Array:
    """Return int32 (n, 2 * count): normal numbers with standard deviation NORMAL, from the two halves of each word."""
    halves = xp.stack([bits16(xp, bits), bits16(xp, xp.rotate_left(bits, 16))])
    return xp.take(xp.table(_normal()), xp.transpose(xp.reshape(halves, (2 * bits.shape[0], -1))))


def _words(cycles: int, axes: int) -> int:
    """Return how many random words give a normal number per product of waves."""
    return (int((1 + 2 * cycles) ** axes) + 1) // 2


def _length(draw: Draw, axis: int) -> Array:
    return draw.xp.cast(draw.xp.constant(draw.size[axis]), "int32")


def _spread(x: Array, axis: int, axes: int) -> Array:
    return x[tuple(slice(None) if a == axis else None for a in range(axes))]


def _cycles(low: float) -> int:
    """Return the cycles of the fastest wave in a period of the noise; its amplitude is 1/300 of the slowest waves'."""
    return math.ceil(0.54 * _period(low))


def _period(low: float) -> float:
    """Return the period of the noise in sigmas: the image and 4 sigmas beyond it, which hides the repetition."""
    return 1 / low + 4


@backends.trace_constant
@lru_cache(maxsize=64)
def _turns(cycles: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the frequency of each wave relative to the slowest: int32 0, 1, 1, 2, 2, .., cycles."""
    return (np.arange(1 + 2 * cycles, dtype=np.int32) + 1) // 2


@backends.trace_constant
@lru_cache(maxsize=64)
def _starts(cycles: int) -> np.ndarray[Any, Any]:
    """Return where each wave starts in the table: the constant 1 is sqrt(2) cos 45°, then cosines and sines."""
    return np.asarray([COSINES // 8] + [0, COSINES * 3 // 4] * cycles, np.int32)


@backends.trace_constant
@lru_cache(maxsize=1)
def _cosines() -> np.ndarray[Any, Any]:
    waves = HEIGHT * math.sqrt(2) * np.cos(2 * np.pi / COSINES * np.arange(COSINES))
    return np.asarray(np.rint(waves), np.int32)


@backends.trace_constant
@lru_cache(maxsize=1)
def _normal() -> np.ndarray[Any, Any]:
    from scipy.special import ndtri  # SciPy is slow to import

    return np.asarray(np.rint(NORMAL * ndtri((np.arange(ONE) + 0.5) / ONE)), np.int32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _decayed(decay: float, axes: int) -> np.ndarray[Any, Any]:
    """Return int32: the amplitude of a wave by the square of its frequency in 1 / FINE cycles; 0 outside the range."""
    top = FINE * CYCLES
    amplitude = np.zeros((top + 1) ** 2 + 1)
    amplitude[1 : top**2 + 1] = (np.arange(1, top**2 + 1) / FINE**2) ** (-decay / 2)
    amplitude[1 : FINE**2] = 0  # no wave is longer than the image
    squares = sum(np.meshgrid(*[(FINE * _turns(CYCLES)) ** 2] * axes, sparse=True))
    return _whole(amplitude, amplitude[np.minimum(squares, top**2 + 1)].sum(), axes)


@backends.trace_constant
@lru_cache(maxsize=64)
def _gaussian(low: float, axes: int) -> np.ndarray[Any, Any]:
    """Return int32 (waves, .., waves): the amplitude of each product of waves in Gaussian-smoothed noise."""
    squares = sum(np.meshgrid(*[_turns(_cycles(low)).astype(float) ** 2] * axes, sparse=True))
    amplitude = np.exp(-2 * (np.pi / _period(low)) ** 2 * squares)
    amplitude.flat[0] = 0  # the mean of the field does not matter
    return _whole(amplitude, amplitude.sum(), axes)


def _whole(amplitude: np.ndarray[Any, Any], total: float, axes: int) -> np.ndarray[Any, Any]:
    """Scale amplitudes to whole numbers so that their sum with normal factors is at most 2^29 / 362 / 2^((axes-1)/2).

    A normal factor is at most 4.33. Rounding changes each product by less than 1, so the sum exceeds the bound by less
    than a quarter.
    """
    room = 2**29 / (HEIGHT * math.sqrt(2)) / math.sqrt(2) ** (axes - 1)
    return np.asarray(np.floor(amplitude * (room / 4.33 / total)), np.int32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _turned(low: float, high: float) -> np.ndarray[Any, Any]:
    """Return int32 (ONE,): TURN times the cycles of the slowest wave along a side, for log-uniform sigmas."""
    sigma = low * (high / low) ** ((np.arange(ONE) + 0.5) / ONE)
    return np.asarray(np.rint(TURN / (sigma * _period(low))), np.int32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _between(least: float, most: float) -> np.ndarray[Any, Any]:
    return np.asarray(least + (most - least) * (np.arange(ONE) + 0.5) / ONE, np.float32)
