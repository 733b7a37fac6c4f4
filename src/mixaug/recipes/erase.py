"""Holes: parts of the sample that are hidden. Labels stay unchanged, because all visible pixels are the base sample."""

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
    """Return a number, or a tuple of one per channel; raise a ValueError for anything else."""
    if not isinstance(value, (tuple, list)):
        return check(name, value)
    if not value:
        raise ValueError(f"{name}: expected a number, or one for each channel, got none; give one")
    return tuple(check(name, number) for number in value)


def _fill(draw: Draw, fill: PerChannel) -> Array:
    """Return a constant fill for `Paste`: float32 (n,), or (n, 1, ..., 1, c)."""
    xp = draw.xp
    if not isinstance(fill, tuple):
        return xp.full((draw.n,), fill, "float32")
    numbers = xp.stack([xp.full((draw.n,), number, "float32") for number in fill], axis=-1)
    return numbers[(slice(None), *[None] * len(draw.size))]


@dataclass(frozen=True, repr=False)
class _Holes(Recipe):
    """A recipe that covers one or several boxes."""

    count: Count = field(default=1, kw_only=True)
    sources: ClassVar[int] = 1

    def __post_init__(self) -> None:
        keep(self, count=_checked_count(f"{type(self).__name__} count", self.count))

    def __repr__(self) -> str:
        return options_repr(self)

    def bits(self, words: int) -> int:
        """Return how many random words the holes use, given the number for each."""
        least, most = self._counts
        return most * words + (least < most)

    def holes(self, draw: Draw, bits: Array, words: int, box: Callable[[Array], Array]) -> Array:
        """Return the holes for `Paste`, each made by `box` from its words; rows with fewer holes have empty boxes."""
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
    """Return a whole number, or (low, high); raise a ValueError for anything else."""
    if not isinstance(count, (tuple, list)):
        return check_whole(name, count, 1, MAX_HOLES)
    if len(count) != 2:
        raise ValueError(f"{name}: expected a whole number or a range (low, high), got {short(tuple(count))}; give two")
    low = check_whole(name, count[0], 1, MAX_HOLES)
    return low, check_whole(name, count[1], low, MAX_HOLES)


@dataclass(frozen=True, repr=False)
class Cutout(_Holes):
    """Cover one or several boxes of a fixed size around uniform centres.

        output = where(inside(box), fill, sample),  side[a] = floor(size[a] * side), clipped to the image

    Args:
        side: the box's side as a fraction of the image's side, 0 to 1.
        fill: the value inside the box, in the units of the images; a tuple has one number per channel.
        count: the number of boxes, 1 to 64, or (low, high) to draw it uniformly. Boxes are drawn independently and may
            overlap.

    Raises:
        ValueError: if an option is out of its range.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> mix = ma.Cutout(side=0.5).draw(1, size=(8, 8), key=(0, 1))
        >>> mix.lam, int((mix.images(np.ones((1, 8, 8), np.uint8), "nhw") == 0).sum())
        (array([[1.]], dtype=float32), 16)

    Good for tasks whose labels must stay unchanged, and as a baseline that shows what mixing adds.

    DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout": 16 of 32 pixels.
    """

    side: float = 0.5
    fill: PerChannel = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, side=check_number("Cutout side", self.side, 0, 1, open_low=False))
        keep(self, fill=_checked_channels("Cutout fill", self.fill, check_any_number))

    def region(self, draw: Draw) -> Region:
        """Return holes of this size."""
        xp, axes = draw.xp, len(draw.size)
        side = xp.full((draw.n,), self.side, "float32")

        def box(bits: Array) -> Array:
            return xp.stack([clipped(draw, a, floor(xp, side * draw.length(a)), bits[a]) for a in range(axes)], axis=1)

        hole = self.holes(draw, draw.random_bits(self.bits(axes)), axes, box)
        return Paste(None, (None,), hole=hole, fill=_fill(draw, self.fill))


@dataclass(frozen=True, repr=False)
class RandomErasing(BoundedBox, _Holes):
    """Cover one or several boxes of random area and aspect ratio with a constant or with noise.

        output = where(inside(box), fill + noise * N(0, 1), sample),  box as in BoxMix

    Args:
        area: (low, high) as fractions of the image's area, above 0, or a number for a fixed area; by default
            (0.02, 0.33).
        aspect: (low, high) of height over width, relative to the image's own aspect ratio; a number >= 1 means
            (1 / aspect, aspect). By default 3.3.
        fill: the value inside the box, in the units of the images; a tuple has one number per channel.
        noise: standard deviation of Gaussian noise added to the fill at each pixel; 0 means no noise. With one number
            all channels have the same noise; with a tuple of one number per channel each has its own.
        height: (low, high) as fractions of the image's height, or a number, in place of area and aspect.
        width: the same for the width. Signals have a width only; axes before the last two are covered completely.
        count: the number of boxes, 1 to 64, or (low, high) to draw it uniformly. Boxes are drawn independently and may
            overlap.

    Raises:
        ValueError: if an option is out of its range.

    Example:
        >>> import mixaug as ma
        >>> ma.RandomErasing(fill=127, noise=64).draw(2, size=(8, 8), key=(0, 0)).lam
        array([[1., 1.]], dtype=float32)

    Good for recognizing partly hidden objects, as in detection and re-identification. Labels stay unchanged.

    Zhong et al. 2017, "Random Erasing Data Augmentation". The paper erases half of the samples: `sometimes(0.5, ...)`.
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
        """Return holes within the bounds."""
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
        """Return the fill of each pixel, float32 (n, *size) or (n, *size, c)."""
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
    """Return the quantiles of N(mean, deviation^2): float32 (ONE,)."""
    from scipy.special import ndtri  # SciPy is slow to import

    return np.asarray(mean + deviation * ndtri((np.arange(ONE) + 0.5) / ONE), np.float32)
