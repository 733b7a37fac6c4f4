"""Holes: a part of the sample where nothing is to be seen. The label stays, for what is seen is the base sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any, ClassVar, TypeAlias

import numpy as np

from .. import _xp
from .._xp import Array
from ..checks import MAX_HOLES
from ..hints import short
from ..keys import ONE, below, floor, look_up
from ..regions import Paste, Region
from .cut import bounded, checked_bounds, clipped
from .lam import options_repr
from .recipe import Draw, Recipe, check_any_number, check_number, check_whole, keep

Count: TypeAlias = int | tuple[int, int]


@dataclass(frozen=True, repr=False)
class _Holes(Recipe):
    """A recipe that covers one box or several."""

    count: Count = field(default=1, kw_only=True)
    sources: ClassVar[int] = 1

    def __post_init__(self) -> None:
        keep(self, count=_checked_count(f"{type(self).__name__} count", self.count))

    def __repr__(self) -> str:
        return options_repr(self)

    def bits(self, words: int) -> int:
        """How many random words the holes take, of so many each."""
        least, most = self._counts
        return most * words + (least < most)

    def holes(self, draw: Draw, bits: Array, words: int, box: Callable[[Array], Array]) -> Array:
        """The holes, `box` of so many words each, and empty boxes where a row has fewer: as `Paste` holds them."""
        xp, (least, most) = draw.xp, self._counts
        holes = [box(bits[h * words : (h + 1) * words]) for h in range(most)]
        if least < most:
            number = least + below(xp, most - least + 1, bits[most * words])
            holes = [hole * xp.cast(number > h, "int32")[:, None, None] for h, hole in enumerate(holes)]
        return xp.stack(holes, axis=1) if most > 1 else holes[0]

    @property
    def _counts(self) -> tuple[int, int]:
        return self.count if isinstance(self.count, tuple) else (self.count, self.count)


def _checked_count(name: str, count: Any) -> Count:
    """A whole number, or the least and the greatest of a range; a ValueError for anything else."""
    if not isinstance(count, (tuple, list)):
        return check_whole(name, count, 1, MAX_HOLES)
    if len(count) != 2:
        raise ValueError(f"{name}: expected a whole number or a range (low, high), got {short(tuple(count))}; give two")
    low = check_whole(name, count[0], 1, MAX_HOLES)
    return low, check_whole(name, count[1], low, MAX_HOLES)


@dataclass(frozen=True, repr=False)
class Cutout(_Holes):
    """Cover a box of each sample, or several, of a fixed size around a uniform centre.

        output = where(inside(box), fill, sample),  side[a] = floor(size[a] * side), clipped to the image

    Args:
        side: of the box, in parts of the image's, 0 to 1.
        fill: what is seen in it, in the units of the images.
        count: how many boxes, 1 to 64, each drawn by itself; (low, high) for a uniform number. They may overlap.

    Raises:
        ValueError: if an option is out of its range.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> mix = ma.Cutout(side=0.5).draw(1, size=(8, 8), key=(0, 1))
        >>> mix.lam, int((mix.images(np.ones((1, 8, 8), np.uint8), "nhw") == 0).sum())
        (array([[1.]], dtype=float32), 16)

    Good for labels that have to stay as they are, and as a baseline: what mixing adds shows against it.

    DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout": 16 of 32 pixels.
    """

    side: float = 0.5
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, side=check_number("Cutout side", self.side, 0, 1, open_low=False))
        keep(self, fill=check_any_number("Cutout fill", self.fill))

    def region(self, draw: Draw) -> Region:
        """Holes of that size."""
        xp, axes = draw.xp, len(draw.size)
        side = xp.full((draw.n,), self.side, "float32")

        def box(bits: Array) -> Array:
            return xp.stack([clipped(draw, a, floor(xp, side * draw.length(a)), bits[a]) for a in range(axes)], axis=1)

        hole = self.holes(draw, draw.random_bits(self.bits(axes)), axes, box)
        return Paste(None, (None,), hole=hole, fill=xp.full((draw.n,), self.fill, "float32"))


@dataclass(frozen=True, repr=False)
class RandomErasing(_Holes):
    """Cover a box of each sample, or several, of random area and aspect, by a constant or by noise.

        output = where(inside(box), fill + noise * N(0, 1), sample),  box as in BoxMix

    Args:
        low: least area in parts of the image, above 0.
        high: largest area, low to 1.
        aspect: largest ratio of the sides, in parts of the image's own, 1 or more.
        fill: what is seen in it, in the units of the images.
        noise: standard deviation of the noise about it, drawn for each pixel, the same in all channels; 0: none.
        count: how many boxes, 1 to 64, each drawn by itself; (low, high) for a uniform number. They may overlap.

    Raises:
        ValueError: if an option is out of its range.

    Example:
        >>> import mixaug as ma
        >>> ma.RandomErasing(fill=127, noise=64).draw(2, size=(8, 8), key=(0, 0)).lam
        array([[1., 1.]], dtype=float32)

    Good for things that are half hidden behind others, as in detection and re-identification: the label stays as it is.

    Zhong et al. 2017, "Random Erasing Data Augmentation". The paper covers half of the samples: `sometimes(0.5, ...)`.
    """

    low: float = 0.02
    high: float = 0.33
    aspect: float = 3.3
    fill: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, **checked_bounds("RandomErasing", self.low, self.high, self.aspect))
        keep(self, fill=check_any_number("RandomErasing fill", self.fill))
        keep(self, noise=check_number("RandomErasing noise", self.noise, 0, open_low=False))

    def region(self, draw: Draw) -> Region:
        """Holes within bounds."""
        xp, words = draw.xp, 2 + len(draw.size)
        count = self.bits(words)
        if not self.noise:
            bits, fill = draw.random_bits(count), xp.full((draw.n,), self.fill, "float32")
        else:
            bits = draw.random_bits(count + prod(draw.size))
            fill = self._noise(draw, bits[count:])
        hole = self.holes(draw, bits, words, lambda bits: bounded(draw, bits, self.low, self.high, self.aspect))
        return Paste(None, (None,), hole=hole, fill=fill)

    def _noise(self, draw: Draw, bits: Array) -> Array:
        """float32 (n, *size): the noise of each pixel."""
        xp = draw.xp
        return xp.reshape(xp.transpose(look_up(xp, _normal(self.fill, self.noise), bits)), (draw.n, *draw.size))


@_xp.trace_constant
@lru_cache(maxsize=64)
def _normal(mean: float, deviation: float) -> np.ndarray[Any, Any]:
    """The quantiles of N(mean, deviation^2): float32 (ONE,)."""
    from scipy.special import ndtri  # SciPy is slow to import

    return np.asarray(mean + deviation * ndtri((np.arange(ONE) + 0.5) / ONE), np.float32)
