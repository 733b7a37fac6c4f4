"""Masks of any form: a weight for each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .._xp import Array
from ..keys import GRID, beta_quantiles, bits16, look_up, uniform
from ..regions import Dense, Region
from .recipe import Draw, Recipe, check_number, check_whole, keep


@dataclass(frozen=True)
class GridMix(Recipe):
    """Take each cell of a regular grid from the own sample or from another.

        weight[1, pixel] = [u(cell of pixel) < 1 - lam],  lam ~ Beta(alpha, alpha),  u ~ U(0, 1) for each cell

    Args:
        alpha: concentration, above 0.
        cells: cells along each axis, 1 or more; where the image is shorter, a cell is a pixel.

    Raises:
        ValueError: an alpha or a number of cells that is none.

    Example:
        >>> import mixaug as ma
        >>> ma.GridMix(cells=2).draw(1, size=(4, 4), key=(0, 3)).dense().shape
        (2, 1, 4, 4)

    Baek et al. 2021, "GridMix: Strong regularization through local context mapping". Labels follow the pixels; the
    paper's extra loss on local patches is not part of the mix.
    """

    alpha: float = 1.0
    cells: int = 4
    parents: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(
            self, alpha=check_number("GridMix alpha", self.alpha, 0), cells=check_whole("GridMix cells", self.cells, 1)
        )

    def region(self, draw: Draw) -> Region:
        """One bit a cell, spread over the cell's pixels."""
        xp = draw.xp
        words = draw.words(1 + self.cells ** len(draw.size))
        limit = look_up(xp, np.rint(GRID * beta_quantiles(self.alpha, self.alpha)).astype(np.int32), words[0])
        other = xp.transpose(bits16(xp, words[1:]) < limit)
        pasted = xp.take(other, self._cell_of_pixel(draw), axis=1)
        return Dense(xp.stack([~pasted, pasted]))

    def _cell_of_pixel(self, draw: Draw) -> Array:
        """int32 (*size,): the number of the cell that each pixel lies in, row by row."""
        axes = range(len(draw.size))
        along = [draw.xp.arange(draw.size[axis]) * self.cells // draw.size[axis] for axis in axes]
        shape = [tuple(slice(None) if a == axis else None for a in axes) for axis in axes]
        return sum(along[axis][shape[axis]] * self.cells ** (len(axes) - 1 - axis) for axis in axes)


@dataclass(frozen=True)
class SmoothMix(Recipe):
    """Keep a soft Gaussian spot of the own sample and fade into another.

        weight[0] = exp(-|pixel - centre|^2 / (2 sigma^2)),  centre uniform,  sigma ~ U(low, high) * min(size)

    Args:
        low: smallest sigma in parts of the shortest side, above 0.
        high: largest sigma in parts of the shortest side, at least low.

    Raises:
        ValueError: a low or a high that is none.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.SmoothMix().draw(3, size=(8, 8), key=(0, 0))
        >>> bool(abs(mix.dense().mean(axis=(2, 3)) - mix.share).max() < 1e-6)
        True

    Lee et al. 2020, "SmoothMix: A Simple Yet Effective Data Augmentation to Train Robust Classifiers". Shares are the
    mean of the mask. The paper has square images; sigma is in parts of the shortest side here.
    """

    low: float = 0.25
    high: float = 0.5
    parents: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(self, low=check_number("SmoothMix low", self.low, 0))
        keep(self, high=check_number("SmoothMix high", self.high, self.low, open_low=False))

    def region(self, draw: Draw) -> Region:
        """A Gaussian of the own sample, the rest of the other."""
        xp, axes = draw.xp, range(len(draw.size))
        words = draw.words(1 + len(draw.size))
        shortest = draw.length(0)
        for axis in axes[1:]:
            shortest = xp.minimum(shortest, draw.length(axis))
        sigma = (self.low + (self.high - self.low) * uniform(xp, words[0])) * shortest
        squares = [_square_distance(draw, axis, uniform(xp, words[1 + axis])) for axis in axes]
        scale = (-0.5 / (sigma * sigma))[(slice(None), *[None] * len(draw.size))]
        own = xp.exp(sum(squares[1:], squares[0]) * scale)
        return Dense(xp.stack([own, 1.0 - own]))


def _square_distance(draw: Draw, axis: int, centre: Array) -> Array:
    """float32 (n, 1, .., length, .., 1): squared distance of the pixel middles along an axis from each row's centre."""
    at = draw.xp.cast(draw.xp.arange(draw.size[axis]), "float32") + 0.5
    off = at[None, :] - centre[:, None] * draw.length(axis)
    return (off * off)[(slice(None), *[slice(None) if a == axis else None for a in range(len(draw.size))])]
