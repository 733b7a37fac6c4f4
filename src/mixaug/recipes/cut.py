"""Boxes of one image pasted over another."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from math import inf
from typing import Any, ClassVar, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array
from ..core.hints import short
from ..core.keys import ONE, below, floor, look_up
from ..core.regions import Paste, Region
from .blend import stick_betas, sticks
from .lam import Alpha, LamRecipe, Law, checked_alpha, lam_quantiles, lam_table, options_repr
from .recipe import Draw, Recipe, check_number, check_sources, keep

Range: TypeAlias = float | tuple[float, float]

PLACEMENTS = ("clipped", "inside", "uniform")


@dataclass(frozen=True, repr=False)
class CutMix(LamRecipe):
    """Paste a box of another sample over each sample, at the same place.

        side[a] = floor(size[a] * (1 - lam)^(1/d)),  lam ~ Beta(alpha, alpha),  d = len(size)
        box = side around a uniform centre, clipped to the image
        lam[1] = area(box) / area(image)

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        lam: the weight of the base sample in place of alpha: a number, or (low, high) to draw it uniformly.
        dominant: whether to draw max(lam, 1 - lam), which gives the base sample the larger weight.
        placement: where the box lies. "clipped": around a uniform centre, clipped to the image, as in the paper.
            "inside": anywhere wholly inside the image, start[a] ~ U{0, .., size[a] - side[a]}. "uniform":
            start[a] ~ U{1 - side[a], .., size[a] - 1}, clipped to the image.

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.CutMix(alpha=1.0).draw(2, size=(8, 8), key=(0, 0))
        >>> (mix.pixel_weights().mean(axis=(2, 3)) == mix.lam).all()
        np.True_
        >>> ma.CutMix(lam=0.75, placement="inside").draw(2, size=(8, 8), key=(0, 0)).lam[0]
        array([0.75, 0.75], dtype=float32)

    Good for image classification: most of an image keeps its full contrast, and the network cannot rely on a single
    telling part. A box counts as its class even if it shows only background.

    Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features". As in
    the paper, labels follow the clipped box. Unlike the paper, each row has its own box (`per_batch(CutMix(...))` draws
    one per batch), and sides may be odd: the paper's code halves a side and loses a pixel.

    Clipping keeps more of the base sample than was drawn: with alpha=1 the mean of lam[0] is 0.68 instead of 0.5. With
    "inside" the area is exactly what was drawn, but pixels in the middle are pasted more often than those at the border
    (French et al. 2020, "Semi-supervised semantic segmentation needs strong, varied perturbations"). With "uniform"
    every pixel is pasted with the same probability, which suits scans, tiles and textures; this is `uniform_sampling`
    in MosaicML Composer.
    """

    placement: str = field(default="clipped", kw_only=True)
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.placement not in PLACEMENTS:
            names = ", ".join(map(repr, PLACEMENTS))
            raise ValueError(f"CutMix placement: expected one of {names}, got {short(self.placement)}")

    def region(self, draw: Draw) -> Region:
        """Paste a box of the second source over the base sample."""
        bits = draw.random_bits(1 + len(draw.size))
        ratio = look_up(draw.xp, side_ratios(self.law, len(draw.size)), bits[0])
        place = {"clipped": clipped_box, "inside": inside_box, "uniform": uniform_box}[self.placement]
        return Paste(None, (None, place(draw, ratio, bits[1:])))


@dataclass(frozen=True)
class CutMixMinMax(Recipe):
    """Paste a box of another sample, with sides drawn between bounds, entirely inside the image.

        side[a] ~ U{least, .., most},  least = floor(low * size[a]),  most = max(floor(high * size[a]) - 1, least)
        start[a] ~ U{0, .., size[a] - side[a]}
        lam[1] = area(box) / area(image)

    Args:
        low: the smallest side as a fraction of the image's side, 0 to 1; a side of 0 pastes nothing.
        high: the upper bound of sides as a fraction of the image's side, low to 1.

    Raises:
        ValueError: if `low` or `high` is out of its range.

    Example:
        >>> import mixaug as ma
        >>> ma.CutMixMinMax(low=0.5, high=0.5).draw(2, size=(8, 8), key=(0, 0)).lam[1]
        array([0.25, 0.25], dtype=float32)

    Good for mixes that are never too weak or too strong, and for reproducing training with timm.

    This is `cutmix_minmax` of timm, which took it from Darknet. Sides and positions of the axes are independent. Unlike
    timm, bounds with no side between them (low = high, or a small image) give the side at `low` instead of an error.
    """

    low: float = 0.2
    high: float = 0.8
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(self, low=check_number("CutMixMinMax low", self.low, 0, 1, open_low=False))
        keep(self, high=check_number("CutMixMinMax high", self.high, self.low, 1, open_low=False))

    def region(self, draw: Draw) -> Region:
        """Paste a box of the second source over the base sample."""
        axes = range(len(draw.size))
        bits = draw.random_bits(2 * len(axes))
        box = [self._inside(draw, axis, bits[axis], bits[len(axes) + axis]) for axis in axes]
        return Paste(None, (None, draw.xp.stack(box, axis=1)))

    def _inside(self, draw: Draw, axis: int, side_word: Array, start_word: Array) -> Array:
        """Return int32 (n, 2): the first and the one-past-last pixel along an axis."""
        xp, length = draw.xp, draw.length(axis)
        least, above = (floor(xp, xp.cast(xp.constant(part), "float32") * length) for part in (self.low, self.high))
        return inside(draw, axis, least + below(xp, xp.maximum(above - least, 1), side_word), start_word)


@dataclass(frozen=True, repr=False)
class BoundedBox(Recipe):
    """A recipe with boxes whose area and aspect ratio, or height and width, are drawn between bounds."""

    area: Range | None = None
    aspect: Range | None = None
    height: Range | None = field(default=None, kw_only=True)
    width: Range | None = field(default=None, kw_only=True)
    usual: ClassVar[tuple[Range, Range]]  #: the default area and aspect

    def __repr__(self) -> str:
        return options_repr(self)

    def check_bounds(self) -> None:
        """Check the bounds and store them."""
        name = type(self).__name__
        sides = {side: getattr(self, side) for side in ("height", "width") if getattr(self, side) is not None}
        others = {option: getattr(self, option) for option in ("area", "aspect") if getattr(self, option) is not None}
        if sides and others:
            came = ", ".join(f"{option}={short(value)}" for option, value in {**others, **sides}.items())
            raise ValueError(f"{name}: expected area and aspect, or height and width, got {came}; leave out one kind")
        if len(sides) == 1:
            (side, value), other = *sides.items(), "width" if "height" in sides else "height"
            raise ValueError(
                f"{name}: expected height and width together, got {side}={short(value)} alone; pass {other} too, "
                f"{other}=1 for the whole of it"
            )
        if sides:
            keep(self, **{side: _checked_range(f"{name} {side}", value) for side, value in sides.items()})
            return
        area, aspect = self.usual
        keep(self, area=_checked_range(f"{name} area", others.get("area", area)))
        keep(self, aspect=_checked_aspect(f"{name} aspect", others.get("aspect", aspect)))

    def bounded(self, draw: Draw, bits: Array) -> Array:
        """Return int32 (n, d, 2): a box within the bounds, entirely inside the image; uses 2 + d random words."""
        xp, box = draw.xp, []
        for a, side in enumerate(self._sides(draw, bits)):
            whole = xp.minimum(xp.maximum(floor(xp, side), 1), draw.size[a])
            box.append(inside(draw, a, whole, bits[2 + a]))
        return xp.stack(box, axis=1)

    def _sides(self, draw: Draw, bits: Array) -> list[Array]:
        """Return the sides in pixels, float32 (n,), along each axis."""
        xp, axes = draw.xp, len(draw.size)
        if self.area is None:
            sides = [draw.length(a) * xp.full((draw.n,), 1.0, "float32") for a in range(axes)]
            both = (self.width, bits[1]), (self.height, bits[0])
            for a, (bounds, word) in zip(reversed(range(axes)), both, strict=False):
                sides[a] = sides[a] * look_up(xp, even(*ends(bounds), 1.0), word)
            return sides
        ratio = look_up(xp, even(*ends(self.area), 1 / axes), bits[0])
        sides = [ratio * draw.length(a) for a in range(axes)]
        for a in range(axes)[-2:] if axes > 1 else ():
            sides[a] = sides[a] * look_up(xp, _stretches(self.aspect, a == axes - 1), bits[1])
        return sides


@dataclass(frozen=True, repr=False)
class BoxMix(BoundedBox):
    """Paste a box with bounded area and aspect ratio, or bounded height and width, entirely inside the image.

        side[a] = floor(size[a] * area^(1/d)), times sqrt(aspect) and 1 / sqrt(aspect) on the last two axes
        area ~ U(low, high),  log aspect ~ U(log low, log high);  or side[a] = floor(size[a] * U(low, high))

    Args:
        area: (low, high) as fractions of the image's area, above 0, or a number for a fixed area; by default
            (0.1, 0.5).
        aspect: (low, high) of height over width, relative to the image's own aspect ratio; a number >= 1 means
            (1 / aspect, aspect). By default 3.
        height: (low, high) as fractions of the image's height, or a number, in place of area and aspect.
        width: the same for the width. Signals have a width only; axes before the last two are covered completely.

    Raises:
        ValueError: if an option is out of its range, or `area` and `height` are both given.

    Example:
        >>> import mixaug as ma
        >>> ma.BoxMix(area=0.25, aspect=1).draw(2, size=(8, 8), key=(0, 0)).lam[1]
        array([0.25, 0.25], dtype=float32)

    Good for segmentation and for student-teacher consistency: every box is large enough to matter.

    French et al. 2020, "Semi-supervised semantic segmentation needs strong, varied perturbations", use boxes of
    area 1/2 and any aspect ratio. Sides longer than the image are shortened to it.
    """

    usual: ClassVar[tuple[Range, Range]] = (0.1, 0.5), 3.0
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        self.check_bounds()

    def region(self, draw: Draw) -> Region:
        """Paste a box of the second source over the base sample."""
        return Paste(None, (None, self.bounded(draw, draw.random_bits(2 + len(draw.size)))))


@dataclass(frozen=True)
class NWayCutMix(Recipe):
    """Paste boxes of several other samples over each sample, without overlap.

        lam ~ Dirichlet(alpha, ..., alpha)
        a random axis is cut into strips; strip j takes the fraction lam[j] / (1 - lam[0]) of it
        side of box j = side of its strip * r,  r^d = 1 - lam[0];  each box lies anywhere in its strip

    Args:
        alpha: concentration, 1e-9 to 1e6; a tuple has one number per source, the base sample first.
        sources: how many samples an output is made of, 2 to 256.

    Raises:
        ValueError: if an option is out of its range.

    Example:
        >>> import mixaug as ma
        >>> ma.NWayCutMix(alpha=1.0, sources=4).draw(2, size=(32, 32), key=(0, 0)).lam.shape
        (4, 2)

    Good for several classes in one image, each at full contrast. More sources mean smaller boxes.

    Boxes pasted one after another would hide each other, and lam would not be what was drawn; in separate strips they
    cannot overlap. With two sources this is `CutMix(placement="inside")`.
    """

    alpha: Alpha = 1.0
    sources: int = 3

    def __post_init__(self) -> None:
        keep(self, sources=check_sources("NWayCutMix sources", self.sources))
        keep(self, alpha=checked_alpha("NWayCutMix alpha", self.alpha, self.sources))

    def region(self, draw: Draw) -> Region:
        """Place a box in each strip."""
        xp, axes, others = draw.xp, len(draw.size), self.sources - 1
        bits = draw.random_bits(others + 1 + others * axes)
        ratio = look_up(xp, side_ratios((self._base_beta, None, False), axes), bits[0])
        along = below(xp, axes, bits[1])
        ends = self._ends(draw, bits[2 : others + 1])
        places = bits[others + 1 :]
        boxes = [
            xp.stack(
                [_in_strip(draw, a, along == a, ends[j], ratio, places[j * axes + a]) for a in range(axes)], axis=1
            )
            for j in range(others)
        ]
        return Paste(None, (None, *boxes))

    @property
    def _base_beta(self) -> tuple[float, float]:
        """(a, b) of the Beta distribution of the base sample's weight."""
        if isinstance(self.alpha, tuple):
            return self.alpha[0], sum(self.alpha[1:])
        return self.alpha, (self.sources - 1) * self.alpha

    def _ends(self, draw: Draw, bits: Array) -> list[tuple[Array, Array]]:
        """Return where each strip begins and ends, in multiples of 1 / ONE of the axis."""
        others = self.alpha[1:] if isinstance(self.alpha, tuple) else self.alpha
        weights = sticks(draw.xp, stick_betas(others, self.sources - 1), bits, draw.n)
        ends = [draw.xp.full((draw.n,), 0.0, "float32")]
        for weight in weights:
            ends.append(ends[-1] + weight)
        return list(pairwise(ends))


@dataclass(frozen=True, repr=False)
class HMix(LamRecipe):
    """Paste a box over a blend of the same two samples.

        area(box) = (1 - lam) * ratio, placed and clipped as in CutMix
        outside the box the base sample weighs lam / (1 - area(box)), so that lam[0] = lam;  lam ~ Beta(alpha, alpha)

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        ratio: the fraction of the partner that is pasted instead of blended: 0 is MixUp, 1 is CutMix except where a
            box is clipped.
        lam: the weight of the base sample in place of alpha: a number, or (low, high) to draw it uniformly.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma
        >>> ma.HMix(alpha=1.0, ratio=0.5).draw(2, size=(8, 8), key=(0, 0)).pixel_weights().shape
        (2, 2, 8, 8)

    Good for interpolating between MixUp and CutMix: if either helps, `ratio` is the one number to tune.

    Park et al. 2022, "A Unified Analysis of Mixed Sample Data Augmentation: A Loss Function Perspective". Blend
    weights are multiples of 1/65536; lam[0] equals lam even if the box is clipped.
    """

    ratio: float = 0.5
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, ratio=check_number("HMix ratio", self.ratio, 0, 1, open_low=False))

    def region(self, draw: Draw) -> Region:
        """Paste a box of the second source over a blend of both."""
        xp, axes = draw.xp, len(draw.size)
        bits = draw.random_bits(1 + axes)
        lam = look_up(xp, lam_table(self.law, 0, "float32"), bits[0])
        side = look_up(xp, side_ratios(self.law, axes, self.ratio), bits[0])
        pasted = Paste(None, (None, clipped_box(draw, side, bits[1:])))
        free = xp.maximum(pasted.lam(xp, draw.n, draw.size)[0], 1 / ONE)
        own = xp.minimum(xp.rint(xp.ratio(lam, free)), float(ONE))
        return replace(pasted, background=xp.stack([own, ONE - own]) * (1 / ONE))


@backends.trace_constant
@lru_cache(maxsize=64)
def side_ratios(law: Law, axes: int, part: float = 1.0) -> np.ndarray[Any, Any]:
    """Return the side of a box of area part * (1 - lam), as a fraction of the image's side, by quantile of lam."""
    return np.asarray((part * (1 - lam_quantiles(law, 0))) ** (1 / axes), np.float32)


def clipped_box(draw: Draw, ratio: Array, bits: Array) -> Array:
    """Return int32 (n, d, 2): a box with this side ratio around a uniform centre, clipped to the image."""
    if kernels := draw.xp.draw_kernels():
        return kernels.boxes(ratio, bits, draw.size, True)
    ends = [clipped(draw, a, floor(draw.xp, ratio * draw.length(a)), bits[a]) for a in range(len(draw.size))]
    return draw.xp.stack(ends, axis=1)


def inside_box(draw: Draw, ratio: Array, bits: Array) -> Array:
    """Return int32 (n, d, 2): a box with this side ratio at a uniform place inside the image."""
    if kernels := draw.xp.draw_kernels():
        return kernels.boxes(ratio, bits, draw.size, False)
    ends = [inside(draw, a, floor(draw.xp, ratio * draw.length(a)), bits[a]) for a in range(len(draw.size))]
    return draw.xp.stack(ends, axis=1)


def uniform_box(draw: Draw, ratio: Array, bits: Array) -> Array:
    """Return int32 (n, d, 2): a box with this side ratio that covers every pixel with the same probability."""
    xp, ends = draw.xp, []
    for axis, length in enumerate(draw.size):
        side = floor(xp, ratio * draw.length(axis))
        start = below(xp, length - 1 + xp.maximum(side, 1), bits[axis]) + 1 - xp.maximum(side, 1)
        ends.append(xp.stack([xp.maximum(start, 0), xp.maximum(xp.minimum(start + side, length), 0)], axis=1))
    return xp.stack(ends, axis=1)


def clipped(draw: Draw, axis: int, side: Array, word: Array) -> Array:
    """Return int32 (n, 2): a side around a uniform centre, clipped to the image."""
    return around(draw, axis, side, below(draw.xp, draw.size[axis], word))


def around(draw: Draw, axis: int, side: Array, centre: Array) -> Array:
    """Return int32 (n, 2): a side around a centre, clipped to the image."""
    xp, start = draw.xp, centre - side // 2
    return xp.stack([xp.maximum(start, 0), xp.minimum(start + side, draw.size[axis])], axis=1)


def inside(draw: Draw, axis: int, side: Array, word: Array) -> Array:
    """Return int32 (n, 2): a side at a uniform place inside the image."""
    start = below(draw.xp, draw.size[axis] + 1 - side, word)
    return draw.xp.stack([start, start + side], axis=1)


def ends(bounds: Any) -> tuple[float, float]:
    """Return (low, high) of a range; a single number is both."""
    return bounds if isinstance(bounds, tuple) else (bounds, bounds)


def _checked_range(name: str, value: Any, most: float = 1) -> Range:
    """Return a number above 0 and at most `most`, or (low, high) of such; raise a ValueError for anything else."""
    if not isinstance(value, (tuple, list)):
        return check_number(name, value, 0, most)
    if len(value) != 2:
        raise ValueError(
            f"{name}: expected a number or a range (low, high), got {short(tuple(value))}; give one or two"
        )
    low = check_number(name, value[0], 0, most)
    return low, check_number(name, value[1], low, most, open_low=False)


def _checked_aspect(name: str, aspect: Any) -> Range:
    if isinstance(aspect, (tuple, list)):
        return _checked_range(name, aspect, inf)
    return check_number(name, aspect, 1, open_low=False)


@backends.trace_constant
@lru_cache(maxsize=64)
def even(low: float, high: float, power: float) -> np.ndarray[Any, Any]:
    """Return u^power for ONE evenly spaced u in (low, high): float32 (ONE,)."""
    return np.asarray((low + (high - low) * (np.arange(ONE) + 0.5) / ONE) ** power, np.float32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _stretches(aspect: Range, shrink: bool) -> np.ndarray[Any, Any]:
    """Return sqrt(aspect), or 1 / sqrt(aspect), for evenly spaced log(aspect): float32 (ONE,)."""
    place = (np.arange(ONE) + 0.5) / ONE
    if isinstance(aspect, tuple):
        low, high = np.log(aspect)
        logs = low + (high - low) * place
    else:
        logs = np.log(aspect) * (2 * place - 1)
    return np.asarray(np.exp((-0.5 if shrink else 0.5) * logs), np.float32)


def _in_strip(draw: Draw, axis: int, cut: Array, ends: tuple[Array, Array], ratio: Array, word: Array) -> Array:
    """Return int32 (n, 2): a side at a uniform place in its strip, or on the whole axis if another axis is cut."""
    xp, length = draw.xp, draw.length(axis) * (1 / ONE)
    whole = (xp.full((draw.n,), 0.0, "float32"), xp.full((draw.n,), float(ONE), "float32"))
    first, last = (floor(xp, xp.where(cut, end, other) * length) for end, other in zip(ends, whole, strict=True))
    side = floor(xp, ratio * xp.cast(last - first, "float32"))
    start = first + below(xp, last - first + 1 - side, word)
    return xp.stack([start, start + side], axis=1)
