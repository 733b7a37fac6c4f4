"""Masks cut out of noise: each row has a landscape of random waves, and its lowest pixels are another sample's.

A wave is a whole number at every pixel, and so are its amplitude and their sum: the landscape, and with it the mask, is
the same in every library. Libraries do not agree on the last bits of sums, transforms and cosines of floats.
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

CYCLES = 8  #: the waves of FMix turn at most that often along the longest side
TURN = 2**26  #: a full turn of a wave, in steps; 30 turns, the most that there are, stay below 2^31
COSINES = 4096  #: a full turn of a wave, in entries of its table
HEIGHT = 256  #: the root mean square of a wave; its height is 362, sqrt(2) times that
NORMAL = 256  #: the standard deviation of the random numbers; 16 bits give none beyond 4.33 times that
FINE = 32  #: frequencies are whole numbers of 1 / FINE cycles along the longest side


@dataclass(frozen=True, repr=False)
class FMix(LamRecipe):
    """Take the low ground of a landscape of long waves from another sample.

        height[pixel] = sum_f normal[f] * |f|^-decay * wave[f, pixel]
        weight[1, pixel] = [pixel is among the round((1 - lam) * pixels) lowest],  lam ~ Beta(alpha, alpha)
        f in cycles along the longest side, 0 < |f| <= 8

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        decay: how fast short waves die out, 0 to 100: large values leave a few large patches.
        lam: instead of alpha, the base sample's part of the pixels: a number, or (low, high), uniform.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.FMix(alpha=1.0, decay=3.0).draw(2, size=(8, 8), key=(0, 0))
        >>> (mix.pixel_weights().mean(axis=(2, 3)) == mix.lam).all()
        np.True_

    Good for masks of a form that a network cannot come to expect, as it can that of a box. Drawing one takes longer
    than drawing a box.

    Harris et al. 2020, "FMix: Enhancing Mixed Sample Data Augmentation": real noise of the Fourier space, on its grid.
    The paper keeps waves of any length; with a decay of 3 those of more than 8 cycles move one pixel in 400, with 2 one
    in 40. The paper draws one mask for a batch: `per_batch(FMix(...))` is the paper's.
    """

    decay: float = 3.0
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, decay=check_number("FMix decay", self.decay, 0, 100, open_low=False))

    def region(self, draw: Draw) -> Region:
        """The base sample on the heights, the other on the low ground."""
        bits = draw.random_bits(1 + _words(CYCLES, len(draw.size)))
        part = look_up(draw.xp, partner_parts(self.law), bits[0])
        pasted = lowest(draw, self._height(draw, bits[1:]), part)
        return Dense(draw.xp.stack([~pasted, pasted]))

    def _height(self, draw: Draw, bits: Array) -> Array:
        """int32 (n, *size): the landscape, made of waves that fit the image a whole number of times."""
        xp, axes = draw.xp, range(len(draw.size))
        steps = [xp.cast(xp.reshape(TURN // _length(draw, axis), (1,)), "int32") for axis in axes]
        waves = [_waves(xp, draw.size[axis], steps[axis], CYCLES) for axis in axes]
        return _landscape(draw, _normals(xp, bits), self._amplitudes(draw), waves)

    def _amplitudes(self, draw: Draw) -> Array:
        """int32 (waves, .., waves): the amplitude of each product of waves, from its frequency in cycles a pixel."""
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
    """Take the low ground of a landscape smoothed by a Gaussian from another sample: spots as a cow has them.

        height = white noise * Gaussian of sigma[a] = s * size[a],  log s ~ U(log low, log high)
        weight[1, pixel] = [pixel is among the round(p * pixels) lowest],  p ~ U(least, most)

    Args:
        low: the smallest sigma in parts of each side, 0.02 or more.
        high: the largest sigma in parts of each side, at least low.
        least: the smallest part that is another sample's, 0 to 1.
        most: the largest, least to 1.

    Raises:
        ValueError: a low, a high, a least or a most that is none.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.CowMix(least=0.25, most=0.25).draw(2, size=(8, 8), key=(0, 0))
        >>> mix.lam[1]
        array([0.25, 0.25], dtype=float32)

    Good for semi-supervised training, for which it was made: every output keeps a good part of both samples. Drawing a
    mask takes longer than drawing a box.

    French et al. 2020, "Milking CowMask for Semi-Supervised Image Classification", where sigma is 4 to 16 pixels of 32:
    in parts of each side here, as sizes differ. The paper puts the threshold where it leaves p of a normal
    distribution, here exactly p of the pixels are below; it lets the noise end at the image's border, here it goes on
    beyond. Labels follow the pixels; the paper's teacher is not part of the mix.
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
        """The base sample on the heights, the other on the low ground."""
        bits = draw.random_bits(2 + _words(_cycles(self.low), len(draw.size)))
        part = look_up(draw.xp, _between(self.least, self.most), bits[0])
        pasted = lowest(draw, self._height(draw, bits[1:]), part)
        return Dense(draw.xp.stack([~pasted, pasted]))

    def _height(self, draw: Draw, bits: Array) -> Array:
        """int32 (n, *size): the landscape, made of waves whose lengths go with each row's sigma."""
        xp, axes = draw.xp, range(len(draw.size))
        turned = look_up(xp, _turned(self.low, self.high), bits[0])
        waves = [_waves(xp, draw.size[axis], turned // _length(draw, axis), _cycles(self.low)) for axis in axes]
        amplitude = xp.table(_gaussian(self.low, len(draw.size)))
        return _landscape(draw, _normals(xp, bits[1:]), amplitude, waves)


def _landscape(draw: Draw, normal: Array, amplitude: Array, waves: Sequence[Array]) -> Array:
    """int32 (n, *size): a sum of products of one wave an axis, each of a random height; below 2^30 either way.

    By `_whole` the heights sum to less than 1.25 * 2^29 / 362 / sqrt(2)^(axes - 1). A sum over the waves of an axis is
    at most 362 times that, and divided by 256 at most sqrt(2) times: no sum on the way comes to 2^30 either.
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
    """int32 (m, length, 1 + 2 * cycles): at each pixel HEIGHT times 1 and sqrt(2) cos, sqrt(2) sin of 1 .. turns.

    The slowest wave makes step / TURN turns a pixel, int32 (m,).
    """
    turned = xp.arange(length)[None, :] * step[:, None] % TURN
    place = turned[:, :, None] * xp.table(_turns(cycles)) // (TURN // COSINES) + xp.table(_starts(cycles))
    return xp.take(xp.table(_cosines()), place % COSINES)


def _normals(xp: Library, bits: Array) -> Array:
    """int32 (n, 2 * count): normal numbers from the two halves of each word, NORMAL times their standard deviation."""
    halves = xp.stack([bits16(xp, bits), bits16(xp, xp.rotate_left(bits, 16))])
    return xp.take(xp.table(_normal()), xp.transpose(xp.reshape(halves, (2 * bits.shape[0], -1))))


def _words(cycles: int, axes: int) -> int:
    """How many words give a normal number for each product of waves."""
    return (int((1 + 2 * cycles) ** axes) + 1) // 2


def _length(draw: Draw, axis: int) -> Array:
    return draw.xp.cast(draw.xp.constant(draw.size[axis]), "int32")


def _spread(x: Array, axis: int, axes: int) -> Array:
    return x[tuple(slice(None) if a == axis else None for a in range(axes))]


def _cycles(low: float) -> int:
    """Turns of the fastest wave in a period of the noise, whose amplitude is 1/300 of the slowest waves'."""
    return math.ceil(0.54 * _period(low))


def _period(low: float) -> float:
    """How many sigmas the noise repeats after: what lies 4 of them beyond the image's other end is out of sight."""
    return 1 / low + 4


@backends.trace_constant
@lru_cache(maxsize=64)
def _turns(cycles: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """How often each wave turns while the slowest turns once: int32 0, 1, 1, 2, 2, .., cycles."""
    return (np.arange(1 + 2 * cycles, dtype=np.int32) + 1) // 2


@backends.trace_constant
@lru_cache(maxsize=64)
def _starts(cycles: int) -> np.ndarray[Any, Any]:
    """Where each wave starts in the table: at 1, which is sqrt(2) cos 45°, at the top, and a quarter before it."""
    return np.asarray([COSINES // 8] + [0, COSINES * 3 // 4] * cycles, np.int32)


@backends.trace_constant
@lru_cache(maxsize=1)
def _cosines() -> np.ndarray[Any, Any]:
    waves = HEIGHT * math.sqrt(2) * np.cos(2 * np.pi / COSINES * np.arange(COSINES))
    return np.asarray(np.rint(waves), np.int32)


@backends.trace_constant
@lru_cache(maxsize=1)
def _normal() -> np.ndarray[Any, Any]:
    from scipy.special import ndtri  # SciPy is slow to import, and a draw without noise needs none

    return np.asarray(np.rint(NORMAL * ndtri((np.arange(ONE) + 0.5) / ONE)), np.int32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _decayed(decay: float, axes: int) -> np.ndarray[Any, Any]:
    """int32: the amplitude of a wave by the square of its frequency, in 1 / FINE cycles; 0 for none and too many."""
    top = FINE * CYCLES
    amplitude = np.zeros((top + 1) ** 2 + 1)
    amplitude[1 : top**2 + 1] = (np.arange(1, top**2 + 1) / FINE**2) ** (-decay / 2)
    amplitude[1 : FINE**2] = 0  # no wave is longer than the image
    squares = sum(np.meshgrid(*[(FINE * _turns(CYCLES)) ** 2] * axes, sparse=True))
    return _whole(amplitude, amplitude[np.minimum(squares, top**2 + 1)].sum(), axes)


@backends.trace_constant
@lru_cache(maxsize=64)
def _gaussian(low: float, axes: int) -> np.ndarray[Any, Any]:
    """int32 (waves, .., waves): the amplitude of each product of waves in noise smoothed by a Gaussian."""
    squares = sum(np.meshgrid(*[_turns(_cycles(low)).astype(float) ** 2] * axes, sparse=True))
    amplitude = np.exp(-2 * (np.pi / _period(low)) ** 2 * squares)
    amplitude.flat[0] = 0  # a level that is the same everywhere
    return _whole(amplitude, amplitude.sum(), axes)


def _whole(amplitude: np.ndarray[Any, Any], total: float, axes: int) -> np.ndarray[Any, Any]:
    """Amplitudes as whole numbers so that normal numbers times all of them sum to at most 2^29 / 362 / 2^((axes-1)/2).

    Each product is rounded by less than 1 and counts at least 1 in that sum by 4.33, so the rounded sum exceeds it by
    less than a quarter.
    """
    room = 2**29 / (HEIGHT * math.sqrt(2)) / math.sqrt(2) ** (axes - 1)
    return np.asarray(np.floor(amplitude * (room / 4.33 / total)), np.int32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _turned(low: float, high: float) -> np.ndarray[Any, Any]:
    """int32 (ONE,): TURN times the turns that the slowest wave makes along a side, for sigmas of log-uniform size."""
    sigma = low * (high / low) ** ((np.arange(ONE) + 0.5) / ONE)
    return np.asarray(np.rint(TURN / (sigma * _period(low))), np.int32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _between(least: float, most: float) -> np.ndarray[Any, Any]:
    return np.asarray(least + (most - least) * (np.arange(ONE) + 0.5) / ONE, np.float32)
