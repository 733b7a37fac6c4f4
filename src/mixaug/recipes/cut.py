"""Boxes of one image pasted over another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .. import _xp
from .._xp import Array, Library
from ..keys import beta_quantiles, bits24, look_up
from ..regions import Paste, Region
from .recipe import Draw, Recipe, check_number, keep


@dataclass(frozen=True)
class CutMix(Recipe):
    """Paste a box of another sample over each sample, at the same place.

        side[a] = floor(size[a] * (1 - lam)^(1/d)),  lam ~ Beta(alpha, alpha),  d = len(size)
        box = side around a uniform centre, clipped to the image
        share[1] = area(box) / area(image)

    Args:
        alpha: concentration, above 0.

    Raises:
        ValueError: an alpha that is none.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.CutMix(alpha=1.0).draw(2, size=(8, 8), key=(0, 0))
        >>> (mix.dense().mean(axis=(2, 3)) == mix.share).all()
        np.True_

    Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features". As there,
    labels follow the clipped box; other than there, each row has its own box (`per_batch(CutMix(...))` is the paper's)
    and sides may be odd: the paper's code halves a side and loses a pixel.
    """

    alpha: float = 1.0
    parents: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(self, alpha=check_number("CutMix alpha", self.alpha, 0))

    def region(self, draw: Draw) -> Region:
        """A box of the second parent over the own sample."""
        xp, axes = draw.xp, len(draw.size)
        words = draw.words(1 + axes)
        ratio = look_up(xp, _side_ratios(self.alpha, axes), words[0])
        box = xp.stack([_interval(draw, axis, ratio, words[1 + axis]) for axis in range(axes)], axis=1)
        return Paste(None, (None, box))


@_xp.constant
@lru_cache(maxsize=64)
def _side_ratios(alpha: float, axes: int) -> np.ndarray[Any, Any]:
    return np.asarray((1 - beta_quantiles(alpha, alpha)) ** (1 / axes), np.float32)


def _interval(draw: Draw, axis: int, ratio: Array, centre: Array) -> Array:
    """int32 (n, 2): first and one-past-last pixel along an axis, clipped to the image."""
    xp, length = draw.xp, draw.size[axis]
    side = _floor(xp, ratio * draw.length(axis))
    start = _floor(xp, xp.cast(bits24(xp, centre), "float32") * (draw.length(axis) * 2.0**-24)) - side // 2
    return xp.stack([xp.maximum(start, 0), xp.minimum(start + side, length)], axis=1)


def _floor(xp: Library, x: Array) -> Array:
    return xp.cast(xp.floor(x), "int32")
