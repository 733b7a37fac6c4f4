"""Masks of any shape: a weight per pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import pi, prod
from typing import Any, ClassVar

import numpy as np

from .. import backends, kernels
from ..backends import Array
from ..core.checks import MAX_LENGTH
from ..core.keys import bits16, look_up, uniform
from ..core.regions import Dense, Region
from .lam import LamRecipe, Law, lam_quantiles, lam_table
from .recipe import MAX_WORDS, Draw, Recipe, check_number, check_whole, keep

MAX_CELLS = 4096  #: along an axis of a grid


@dataclass(frozen=True, repr=False)
class GridMix(LamRecipe):
    """Take each cell of a regular grid from the base sample or from a partner.

        weight[1, pixel] = [u(cell of pixel) < 1 - lam],  lam ~ Beta(alpha, alpha),  u ~ U(0, 1) per cell

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        cells: the number of cells along each axis, 1 to 4096, and at most 2^24 in all; if the image is shorter, a cell
            is a pixel.
        lam: the probability that a cell comes from the base sample, in place of alpha: a number, or (low, high) to
            draw it uniformly.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma
        >>> ma.GridMix(cells=2).draw(1, size=(4, 4), key=(0, 3)).pixel_weights().shape
        (2, 1, 4, 4)

    Good for learning from local parts: pieces of both samples are spread over the image. Small cells cut objects apart.

    Baek et al. 2021, "GridMix: Strong regularization through local context mapping". Labels follow the pixels; the
    paper's additional loss on local patches is not part of the mix.
    """

    cells: int = 4
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, cells=check_whole("GridMix cells", self.cells, 1, MAX_CELLS))

    def region(self, draw: Draw) -> Region:
        """Draw one bit per cell, for all of its pixels."""
        xp, cells = draw.xp, self.cells ** len(draw.size)
        if cells > MAX_WORDS:
            raise ValueError(
                f"GridMix cells: expected at most {MAX_WORDS} in all, got {self.cells} along each of "
                f"{len(draw.size)} axes, {cells}; take fewer"
            )
        bits = draw.random_bits(1 + cells)
        limit = look_up(xp, lam_table(self.law, 1, "int32"), bits[0])
        other = xp.transpose(bits16(xp, bits[1:]) < limit)
        pasted = xp.take(other, self._cell_of_pixel(draw), axis=1)
        return Dense(xp.stack([~pasted, pasted]))

    def _cell_of_pixel(self, draw: Draw) -> Array:
        """Return int32 (*size,): the number of each pixel's cell, in row-major order."""
        axes = range(len(draw.size))
        along = [draw.xp.arange(draw.size[axis]) * self.cells // draw.size[axis] for axis in axes]
        shape = [tuple(slice(None) if a == axis else None for a in axes) for axis in axes]
        return sum(along[axis][shape[axis]] * self.cells ** (len(axes) - 1 - axis) for axis in axes)


@dataclass(frozen=True, repr=False)
class TokenMix(LamRecipe):
    """Take whole tokens of a vision transformer from a partner.

        weight[1, pixel] = [its token is among round((1 - lam) * tokens) random ones],  lam ~ Beta(alpha, alpha)

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        token: the side of a token in pixels, 1 to 2^24: the patch size of the network, or a multiple of it. The grid
            starts at the image's first pixel; the last tokens along an axis may be cut off by the border.
        lam: the fraction of tokens of the base sample in place of alpha: a number, or (low, high) to draw it
            uniformly.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma
        >>> ma.TokenMix(token=2).draw(2, size=(4, 6), key=(0, 3)).pixel_weights()[1, 0].astype(int)
        array([[1, 1, 1, 1, 0, 0],
               [1, 1, 1, 1, 0, 0],
               [0, 0, 0, 0, 1, 1],
               [0, 0, 0, 0, 1, 1]])

    Good for vision transformers: if `token` is their patch size, no token mixes two samples.

    Liu et al. 2022, "TokenMix: Rethinking Image Mixing for Data Augmentation in Vision Transformers", its random
    mask; its other mask joins tokens to blocks. Labels follow the pixels; the paper weighs them by a teacher's
    attention. The paper's code always takes half of the tokens plus 14; here their number is drawn as in CutMix. With a
    token of several patches this is the mask of Zhao et al. 2023, "MixPro".
    """

    token: int = 16
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, token=check_whole("TokenMix token", self.token, 1, MAX_LENGTH))

    def region(self, draw: Draw) -> Region:
        """Draw one bit per token, for all of its pixels."""
        xp, axes = draw.xp, range(len(draw.size))
        tokens = tuple((length + (self.token - 1)) // self.token for length in draw.size)
        bits = draw.random_bits(1 + prod(tokens))
        order = xp.reshape(xp.transpose(xp.cast(xp.shift_right(bits[1:], 3), "int32")), (draw.n, *tokens))
        pasted = lowest(replace(draw, size=tokens), order, look_up(xp, partner_parts(self.law), bits[0]))
        for axis in axes:
            pasted = xp.take(pasted, xp.arange(draw.size[axis]) // self.token, axis=1 + axis)
        return Dense(xp.stack([~pasted, pasted]))


@dataclass(frozen=True)
class SmoothMix(Recipe):
    """Keep a Gaussian spot of the base sample and fade into a partner.

        weight[0] = exp(-|pixel - centre|^2 / (2 sigma^2)),  centre uniform,  sigma ~ U(low, high) * min(size)

    Args:
        low: the smallest sigma as a fraction of the shortest side, above 0.
        high: the largest sigma as a fraction of the shortest side, at least low.

    Raises:
        ValueError: if `low` or `high` is out of its range.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.SmoothMix().draw(3, size=(8, 8), key=(0, 0))
        >>> bool(abs(mix.pixel_weights().mean(axis=(2, 3)) - mix.lam).max() < 1e-6)
        True

    Good for mixing without the artificial edges of a box: one sample fades into the other.

    Lee et al. 2020, "SmoothMix: A Simple Yet Effective Data Augmentation to Train Robust Classifiers". lam is the
    mean of the mask. The paper has square images; here sigma is relative to the shortest side.
    """

    low: float = 0.25
    high: float = 0.5
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(self, low=check_number("SmoothMix low", self.low, 0))
        keep(self, high=check_number("SmoothMix high", self.high, self.low, open_low=False))

    def region(self, draw: Draw) -> Region:
        """Return a Gaussian weight for the base sample, and the rest for the partner."""
        xp, axes = draw.xp, range(len(draw.size))
        bits = draw.random_bits(1 + len(draw.size))
        shortest = draw.length(0)
        for axis in axes[1:]:
            shortest = xp.minimum(shortest, draw.length(axis))
        sigma = (self.low + (self.high - self.low) * uniform(xp, bits[0])) * shortest
        squares = [_square_distance(draw, axis, uniform(xp, bits[1 + axis])) for axis in axes]
        scale = (-0.5 / (sigma * sigma))[(slice(None), *[None] * len(draw.size))]
        own = xp.exp(sum(squares[1:], squares[0]) * scale)
        return Dense(xp.stack([own, 1.0 - own]))


def _square_distance(draw: Draw, axis: int, centre: Array) -> Array:
    """Return float32 (n, 1, .., length, .., 1): squared distances of pixel centres from each row's centre."""
    at = draw.xp.cast(draw.xp.arange(draw.size[axis]), "float32") + 0.5
    off = at[None, :] - centre[:, None] * draw.length(axis)
    return (off * off)[(slice(None), *[slice(None) if a == axis else None for a in range(len(draw.size))])]


@dataclass(frozen=True, repr=False)
class GMix(LamRecipe):
    """Fade from one sample into another around a point: CutMix with a Gaussian in place of the box.

        spot = exp(-pi * sum_a ((pixel[a] - centre[a]) / side[a])^2),  centre a uniform pixel
        side[a] = size[a] * min(lam, 1 - lam)^(1/d),  lam ~ Beta(alpha, alpha),  d = len(size)
        weight[0] = spot if lam < 1/2, else 1 - spot

    The integral of the spot is the volume of a box with these sides, so the weights are lam and 1 - lam unless the
    border cuts off a part of it.

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        lam: the weight of the base sample in place of alpha: a number, or (low, high) to draw it uniformly.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.GMix().draw(3, size=(8, 8), key=(0, 0))
        >>> bool(abs(mix.pixel_weights().mean(axis=(2, 3)) - mix.lam).max() < 1e-6)
        True

    Good for the same uses as SmoothMix, with lam of any size: alpha controls the strength of the mix.

    Park et al. 2022, "A Unified Analysis of Mixed Sample Data Augmentation: A Loss Function Perspective". As in the
    authors' code, the sample with the smaller weight is the spot, and lam is the mean of the mask. Unlike there, the
    spot has the aspect ratio of the image, like CutMix's box, and images need not be square.
    """

    sources: ClassVar[int] = 2

    def region(self, draw: Draw) -> Region:
        """Return a Gaussian weight for the sample with the smaller lam, and the rest for the other."""
        xp, axes = draw.xp, range(len(draw.size))
        bits = draw.random_bits(1 + len(draw.size))
        ratio = look_up(xp, _spot_ratios(self.law, len(draw.size)), bits[0])
        bells = [_bell(draw, axis, ratio * draw.length(axis), bits[1 + axis]) for axis in axes]
        spot = prod(bells[1:], start=bells[0])
        less = _per_pixel(look_up(xp, _is_less(self.law), bits[0]) > 0, len(draw.size))
        own = xp.where(less, spot, 1.0 - spot)
        return Dense(xp.stack([own, 1.0 - own]))


def lowest(draw: Draw, values: Array, part: Array) -> Array:
    """Return bool (n, *size): the round(part * pixels) lowest values of each row, fewer if some are equal.

    Args:
        draw: a draw of this size.
        values: int32 (n, *size), from -2^30 to 2^30 - 2.
        part: float32 (n,), 0 to 1.
    """
    xp, axes = draw.xp, range(len(draw.size))
    wanted = xp.rint(part * prod([draw.length(axis) for axis in axes]))
    made = kernels.lowest(xp, values, wanted)
    if made is not None:
        return made
    limit = xp.full((draw.n,), -(2**30), "int32")
    for bit in reversed(range(31)):  # the highest limit with at most `wanted` values below it, bit by bit
        higher = limit + 2**bit
        below = xp.total(values < _per_pixel(higher, len(axes)), tuple(1 + axis for axis in axes))
        limit = xp.where(below <= wanted, higher, limit)
    return values < _per_pixel(limit, len(axes))


@backends.trace_constant
@lru_cache(maxsize=64)
def partner_parts(law: Law) -> np.ndarray[Any, Any]:
    """Return 1 - lam, float32 (ONE,)."""
    return np.asarray(1 - lam_quantiles(law, 0), np.float32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _spot_ratios(law: Law, axes: int) -> np.ndarray[Any, Any]:
    lam = lam_quantiles(law, 0)
    return np.asarray(np.maximum(np.minimum(lam, 1 - lam), 2.0**-32) ** (1 / axes), np.float32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _is_less(law: Law) -> np.ndarray[Any, Any]:
    """Return int32 (ONE,): 1 where lam < 1/2."""
    return np.asarray(lam_quantiles(law, 0) < 0.5, np.int32)


def _bell(draw: Draw, axis: int, side: Array, centre: Array) -> Array:
    """Return float32 (n, 1, .., length, .., 1): a Gaussian along an axis with height 1 and this integral."""
    xp, length = draw.xp, draw.length(axis)
    off = xp.cast(xp.arange(draw.size[axis]), "float32")[None, :] - xp.floor(uniform(xp, centre) * length)[:, None]
    bell = xp.exp(off * off * (-pi / (side * side))[:, None])
    return bell[(slice(None), *[slice(None) if a == axis else None for a in range(len(draw.size))])]


def _per_pixel(x: Array, axes: int) -> Array:
    return x[(slice(None), *[None] * axes)]
