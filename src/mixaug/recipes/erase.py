"""Holes: a part of the sample where nothing is to be seen. The label stays, for what is seen is the base sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any, ClassVar, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array
from ..core.checks import MAX_HOLES
from ..core.hints import short
from ..core.keys import ONE, below, floor, look_up
from ..core.regions import Paste, Region
from .cut import BoundedBox, Range, clipped
from .lam import options_repr
from .recipe import Draw, Recipe, check_any_number, check_number, check_whole, keep

Count: TypeAlias = int | tuple[int, int]
PerChannel: TypeAlias = float | tuple[float, ...]  #: a number for all channels, or one for each


def _checked_channels(name: str, value: Any, check: Callable[[str, Any], int | float]) -> PerChannel:
    """A number, or one for each channel; a ValueError for anything else."""
    if not isinstance(value, (tuple, list)):
        return check(name, value)
    if not value:
        raise ValueError(f"{name}: expected a number, or one for each channel, got none; give one")
    return tuple(check(name, number) for number in value)


def _fill(draw: Draw, fill: PerChannel) -> Array:
    """A constant fill as `Paste` holds it: float32 (n,), or (n, 1, ..., 1, c)."""
    xp = draw.xp
    if not isinstance(fill, tuple):
        return xp.full((draw.n,), fill, "float32")
    numbers = xp.stack([xp.full((draw.n,), number, "float32") for number in fill], axis=-1)
    return numbers[(slice(None), *[None] * len(draw.size))]


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
        fill: what is seen in it, in the units of the images; a tuple has one number for each channel.
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
    fill: PerChannel = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, side=check_number("Cutout side", self.side, 0, 1, open_low=False))
        keep(self, fill=_checked_channels("Cutout fill", self.fill, check_any_number))

    def region(self, draw: Draw) -> Region:
        """Holes of that size."""
        xp, axes = draw.xp, len(draw.size)
        side = xp.full((draw.n,), self.side, "float32")

        def box(bits: Array) -> Array:
            return xp.stack([clipped(draw, a, floor(xp, side * draw.length(a)), bits[a]) for a in range(axes)], axis=1)

        hole = self.holes(draw, draw.random_bits(self.bits(axes)), axes, box)
        return Paste(None, (None,), hole=hole, fill=_fill(draw, self.fill))


@dataclass(frozen=True, repr=False)
class RandomErasing(BoundedBox, _Holes):
    """Cover a box of each sample, or several, of random area and aspect, by a constant or by noise.

        output = where(inside(box), fill + noise * N(0, 1), sample),  box as in BoxMix

    Args:
        area: (low, high) in parts of the image, above 0, or a number for a fixed area; by default (0.02, 0.33).
        aspect: (low, high) of height over width, in parts of the image's own; a number of 1 or more for
            (1 / aspect, aspect). By default 3.3.
        fill: what is seen in it, in the units of the images; a tuple has one number for each channel.
        noise: standard deviation of the noise about it, drawn for each pixel; 0: none. One number is the same noise in
            all channels, a tuple has a number for each channel, which has a noise of its own.
        height: instead of area and aspect, (low, high) in parts of the image's height, or a number.
        width: likewise. A signal has a width alone; axes before the last two are covered from end to end.
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

    fill: PerChannel = 0.0
    noise: PerChannel = 0.0
    usual: ClassVar[tuple[Range, Range]] = (0.02, 0.33), 3.3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_bounds()
        keep(self, fill=_checked_channels("RandomErasing fill", self.fill, check_any_number))
        keep(self, noise=_checked_channels("RandomErasing noise", self.noise, _check_deviation))
        lengths = [len(one) for one in (self.fill, self.noise) if isinstance(one, tuple)]
        if len({*lengths}) > 1:
            raise ValueError(
                f"RandomErasing noise: expected {lengths[0]} numbers, as many as fill has, got {lengths[1]}; give both "
                "one for each channel, or one of them a single number"
            )

    def region(self, draw: Draw) -> Region:
        """Holes within bounds."""
        words = 2 + len(draw.size)
        count = self.bits(words)
        if self.noise == 0:
            bits, fill = draw.random_bits(count), _fill(draw, self.fill)
        else:
            fields = len(self.noise) if isinstance(self.noise, tuple) else 1
            bits = draw.random_bits(count + fields * prod(draw.size))
            fill = self._noise(draw, bits[count:])
        hole = self.holes(draw, bits, words, lambda bits: self.bounded(draw, bits))
        return Paste(None, (None,), hole=hole, fill=fill)

    def _noise(self, draw: Draw, bits: Array) -> Array:
        """float32 (n, *size), or (n, *size, c): the noise of each pixel."""
        xp, fill, noise, pixels = draw.xp, self.fill, self.noise, prod(draw.size)

        def field(mean: float, deviation: float, bits: Array) -> Array:
            return xp.reshape(xp.transpose(look_up(xp, _normal(mean, deviation), bits)), (draw.n, *draw.size))

        if isinstance(noise, tuple):
            means = fill if isinstance(fill, tuple) else (fill,) * len(noise)
            each = [
                field(mean, deviation, bits[c * pixels : (c + 1) * pixels])
                for c, (mean, deviation) in enumerate(zip(means, noise, strict=True))
            ]
            return xp.stack(each, axis=-1)
        if isinstance(fill, tuple):
            return xp.stack([field(mean, noise, bits) for mean in fill], axis=-1)
        return field(fill, noise, bits)


def _check_deviation(name: str, value: Any) -> int | float:
    return check_number(name, value, 0, open_low=False)


@backends.trace_constant
@lru_cache(maxsize=64)
def _normal(mean: float, deviation: float) -> np.ndarray[Any, Any]:
    """The quantiles of N(mean, deviation^2): float32 (ONE,)."""
    from scipy.special import ndtri  # SciPy is slow to import

    return np.asarray(mean + deviation * ndtri((np.arange(ONE) + 0.5) / ONE), np.float32)
