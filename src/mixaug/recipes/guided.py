"""Recipes that use a guide: saliency maps, masks of classes, or masks of objects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, ClassVar

import numpy as np

from .. import backends
from ..backends import Array
from ..core.checks import MAX_LENGTH
from ..core.hints import short
from ..core.keys import bits24, floor, look_up
from ..core.maps import IDS
from ..core.regions import Dense, Paste, Region, inside, whole
from .cut import around, even, side_ratios
from .cut import inside as inside_axis
from .lam import LamRecipe
from .masks import partner_parts
from .recipe import Draw, Recipe, check_number, check_whole, keep

MAX_CELLS = 256  #: the maximum number of grid cells along an axis


@dataclass(frozen=True, repr=False)
class SaliencyMix(LamRecipe):
    """Paste a box of another sample around its most salient pixel, at the same place.

        centre = argmax saliency[index[1]], the first pixel on ties
        side[a] = floor(size[a] * (1 - lam)^(1/d)),  lam ~ Beta(alpha, alpha),  d = len(size)
        box = side around centre, clipped to the image

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        lam: the weight of the base sample in place of alpha: a number, or (low, high) to draw it uniformly.
        dominant: whether to draw max(lam, 1 - lam), which gives the base sample the larger weight.

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given; in `draw`, if there is no
            guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> saliency = np.zeros((2, 8, 8), np.float32)
        >>> saliency[:, 2, 5] = 1
        >>> mix = ma.SaliencyMix(lam=0.75).draw(2, size=(8, 8), key=0, guide=saliency)
        >>> mix.region.box[1][0].tolist()
        [[0, 4], [3, 7]]

    Good for small objects: the box is likely to show part of its class. Published gains over CutMix are small on CIFAR.

    Uddin et al. 2021, "SaliencyMix: A Saliency Guided Data Augmentation Strategy for Better Regularization". Unlike the
    authors' code, each row has its own lam and its own box (theirs places one box per batch by the saliency of a single
    image), and sides may be odd.
    """

    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("saliency",)

    def region(self, draw: Draw) -> Region:
        """Paste a box of the second source, centred at its peak, over the base sample."""
        ratio = look_up(draw.xp, side_ratios(self.law, len(draw.size)), draw.random_bits(1)[0])
        sides = [floor(draw.xp, ratio * draw.length(axis)) for axis in range(len(draw.size))]
        box = [around(draw, axis, sides[axis], at) for axis, at in enumerate(draw.peak(1))]
        return Paste(None, (None, draw.xp.stack(box, axis=1)))


@dataclass(frozen=True)
class AttentiveCutMix(Recipe):
    """Paste the most salient grid cells of another sample.

        weight[1, pixel] = [the sum of saliency[index[1]] over its cell is among the `top` largest]

    Args:
        top: the number of cells to paste, at least 1; all cells are pasted if there are fewer.
        cells: the number of cells along each axis, 1 to 256; along a shorter axis each pixel is a cell.

    Raises:
        ValueError: if an option is out of its range; in `draw`, if there is no guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> saliency = np.arange(16, dtype=np.float32).reshape(1, 4, 4).repeat(2, axis=0)
        >>> mix = ma.AttentiveCutMix(top=1, cells=2).draw(2, size=(4, 4), key=0, guide=saliency)
        >>> mix.pixel_weights()[1, 0].astype(int)
        array([[0, 0, 0, 0],
               [0, 0, 0, 0],
               [0, 0, 1, 1],
               [0, 0, 1, 1]])

    Good for pasting the parts that a trained network relies on: use its attention or class activation maps as the
    guide.

    Walawalkar et al. 2020, "Attentive CutMix: An Enhanced Data Augmentation Approach for Deep Learning Based Image
    Classification". The defaults are those of the paper: the top 6 cells of a 7 x 7 grid. As in the paper, only the
    pairing is random, and the cells come from the partner; OpenMixup instead keeps these cells of the base sample.
    """

    top: int = 6
    cells: int = 7
    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("saliency",)

    def __post_init__(self) -> None:
        keep(self, top=check_whole("AttentiveCutMix top", self.top, 1))
        keep(self, cells=check_whole("AttentiveCutMix cells", self.cells, 1, MAX_CELLS))

    def region(self, draw: Draw) -> Region:
        """Paste the cells with the largest sums."""
        of_cell = [draw.xp.arange(length) * self.cells // length for length in draw.size]
        return _pasted(draw, of_cell, (self.cells,) * len(draw.size), draw.rows_of(self.top))


@dataclass(frozen=True, repr=False)
class MergeMix(LamRecipe):
    """Paste the most salient tokens of another sample; lam sets their number.

        weight[1, pixel] = [the sum of saliency[index[1]] over its token is among the `top` largest]
        top = round((1 - lam) * tokens),  lam ~ Beta(alpha, alpha)

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        token: the side of a token in pixels, 1 to 2^24; usually the patch size of the network.
        lam: the fraction of tokens of the base sample in place of alpha: a number, or (low, high) to draw it
            uniformly.
        dominant: whether to draw max(lam, 1 - lam), which gives the base sample the larger weight.

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given; in `draw`, if there is no
            guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> saliency = np.arange(16, dtype=np.float32).reshape(1, 4, 4).repeat(2, axis=0)
        >>> ma.MergeMix(lam=0.75, token=2).draw(2, size=(4, 4), key=0, guide=saliency).lam[1]
        array([0.25, 0.25], dtype=float32)

    Good for vision transformers: use the attention of the class token as the guide.

    Jin et al. 2025, "MergeMix: A Unified Augmentation Paradigm for Visual and Multi-Modal Understanding". This is the
    mask of the paper only: the top tokens of an attention map. Labels follow the pixels.
    """

    token: int = 16
    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("saliency",)

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, token=check_whole("MergeMix token", self.token, 1, MAX_LENGTH))

    def region(self, draw: Draw) -> Region:
        """Paste the tokens with the largest sums."""
        xp = draw.xp
        tokens = tuple((length + (self.token - 1)) // self.token for length in draw.size)
        part = look_up(xp, partner_parts(self.law), draw.random_bits(1)[0])
        count = xp.rint(part * xp.cast(xp.constant(prod(tokens)), "float32"))
        return _pasted(draw, [xp.arange(length) // self.token for length in draw.size], tokens, count)


@dataclass(frozen=True)
class ClassMix(Recipe):
    """Paste half of the classes in another sample's mask, at the same place.

        classes = a uniformly drawn subset of floor(C / 2) of the C ids in masks[index[1]]
        weight[1, pixel] = [masks[index[1]] at the pixel is in classes]

    Args:
        ignore_index: an id, 0 to 255, that does not count as a class and is never pasted.

    Raises:
        ValueError: if `ignore_index` is out of its range; in `draw`, if there is no guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> masks = np.array([[[0, 0], [1, 1]], [[2, 2], [3, 3]]])
        >>> mix = ma.ClassMix().draw(2, size=(2, 2), key=(0, 2), guide=masks)
        >>> mix.masks(masks)[0].tolist()
        [[0, 0], [3, 3]]

    Good for semantic segmentation with few labels: masks may be predictions (`ma.Guide("masks")`), and the pasted
    regions follow the outlines of objects.

    Olsson et al. 2021, "ClassMix: Segmentation-Based Data Augmentation for Semi-Supervised Learning". As in the paper,
    the background is a class like any other.
    """

    ignore_index: int | None = None
    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("masks",)

    def __post_init__(self) -> None:
        if self.ignore_index is not None:
            keep(self, ignore_index=check_whole("ClassMix ignore_index", self.ignore_index, 0, IDS - 1))

    def region(self, draw: Draw) -> Region:
        """Paste the pixels of the chosen classes."""
        xp, ids = draw.xp, draw.guide("masks", 1)
        flat = xp.reshape(ids, (draw.n, prod(draw.size)))
        number = xp.arange(IDS)[None, :]
        there = xp.present(flat, IDS + 1)[:, :IDS]
        if self.ignore_index is not None:
            there = there & (number != self.ignore_index)
        order = xp.transpose(xp.cast(xp.shift_right(draw.random_bits(IDS), 1), "int32"))
        place = xp.argsort(xp.argsort(xp.where(there, order, order * 0 + (2**31 - 1))))
        half = xp.summed(xp.cast(there, "int32")) // 2
        chosen = there & (place < half[:, None])
        chosen = xp.concat([chosen, chosen[:, :1] & ~chosen[:, :1]], 1)  # and pixels without a class id
        pasted = xp.reshape(xp.take_each(chosen, flat, 1), (draw.n, *draw.size))
        return Dense(xp.stack([~pasted, pasted]))


@dataclass(frozen=True)
class CopyPaste(Recipe):
    """Paste randomly chosen objects of another sample, optionally resized.

        chosen[j] = u[j] < part,  u ~ U(0, 1) for each object
        weight[1, pixel] = [the pixel is in the mask of a chosen object], smoothed by a Gaussian of sigma `blend`

    Args:
        part: the probability that an object is pasted, > 0 and at most 1.
        scale: (low, high), each 0.05 to 20: resize the partner by a factor from U(low, high). A smaller partner is
            placed at random inside the image; a larger one is cropped at random. None: do not resize.
        blend: sigma of the Gaussian that smooths pasted edges, in pixels, 0 to 16.

    Raises:
        ValueError: if an option is out of its range; in `draw`, if there is no guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> instances = np.zeros((2, 1, 4, 4), bool)
        >>> instances[1, 0, 1:3, :2] = True
        >>> mix = ma.CopyPaste(part=1.0).draw(2, size=(4, 4), key=0, guide=instances)
        >>> mix.lam[1].tolist()
        [0.25, 0.0]

    Good for detection and instance segmentation: boxes and instance masks follow the visible parts of objects, and
    objects of which less than a tenth is visible are removed (`ma.Boxes(min_visibility=0.1)`).

    Ghiasi et al. 2021, "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation". The paper
    resizes both samples, by 0.1 to 2, and flips them; here only the partner is resized, and nothing is flipped.
    """

    part: float = 0.5
    scale: tuple[float, float] | None = None
    blend: float = 0.0
    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("instances",)

    def __post_init__(self) -> None:
        keep(self, part=check_number("CopyPaste part", self.part, 0, 1))
        keep(self, blend=check_number("CopyPaste blend", self.blend, 0, 16, open_low=False))
        if self.scale is not None:
            keep(self, scale=_checked_scale(self.scale))

    def region(self, draw: Draw) -> Region:
        """Paste the union of the chosen objects."""
        xp, objects, axes = draw.xp, draw.guide("instances", 1), len(draw.size)
        count = xp.shape(objects)[1]
        bits = draw.random_bits(1 + 2 * axes + count)
        chosen = xp.transpose(bits24(xp, bits[1 + 2 * axes :]) < round(2**24 * self.part))
        pasted = xp.total(objects & chosen[(..., *[None] * axes)], (1,)) > 0
        views: dict[str, Any] = {}
        if self.scale is not None:
            box, source_box = _resized(draw, look_up(xp, even(*self.scale, 1.0), bits[0]), bits[1 : 1 + 2 * axes])
            pasted = _seen_through(draw, pasted, box, source_box)
            image = whole(xp, draw.n, draw.size)
            views = {"box": (image, box), "source_box": (image, source_box)}
        weight = xp.stack([~pasted, pasted])
        if self.blend:
            soft = _smoothed(draw, pasted, self.blend)
            if self.scale is not None:
                soft = xp.where(inside(xp, box, draw.size), soft, soft * 0.0)
            weight = xp.stack([1.0 - soft, soft])
        return Dense(weight, **views)


def _checked_scale(scale: Any) -> tuple[float, float]:
    if not isinstance(scale, (tuple, list)) or len(scale) != 2:
        raise ValueError(f"CopyPaste scale: expected (low, high), got {short(scale)}; give two numbers or None")
    low = check_number("CopyPaste scale", scale[0], 0.05, 20, open_low=False)
    return low, check_number("CopyPaste scale", scale[1], low, 20, open_low=False)


def _resized(draw: Draw, factor: Array, bits: Array) -> tuple[Array, Array]:
    """Return two int32 (n, d, 2): the box that a resized partner covers, and the part of the partner it shows."""
    xp, boxes, parts = draw.xp, [], []
    for axis, length in enumerate(draw.size):
        side = xp.minimum(xp.maximum(floor(xp, factor * draw.length(axis)), 1), length)
        part = xp.minimum(xp.maximum(floor(xp, xp.ratio(draw.length(axis) + factor * 0.0, factor)), 1), length)
        boxes.append(inside_axis(draw, axis, side, bits[2 * axis]))
        parts.append(inside_axis(draw, axis, part, bits[2 * axis + 1]))
    return xp.stack(boxes, axis=1), xp.stack(parts, axis=1)


def _seen_through(draw: Draw, x: Array, box: Array, source_box: Array) -> Array:
    """Return bool (n, *size): the partner's mask, resampled so that `box` shows `source_box` of it."""
    xp = draw.xp
    for axis, length in enumerate(draw.size):
        at = xp.arange(length)[None, :]
        (first, last), (start, stop) = ((edges[:, axis, :1], edges[:, axis, 1:]) for edges in (box, source_box))
        origin = start + (2 * (at - first) + 1) * (stop - start) // (2 * (last - first))
        origin = xp.maximum(xp.minimum(origin, length - 1), 0)
        x = xp.take_each(x, origin, 1 + axis)
    return x & inside(xp, box, draw.size)


def _smoothed(draw: Draw, mask: Array, sigma: float) -> Array:
    """Return float32 (n, *size): a mask smoothed along each axis by integers that sum to 256, which is exact."""
    xp, x, axes = draw.xp, draw.xp.cast(mask, "int32"), len(draw.size)
    for length in draw.size:  # each pass moves the first spatial axis to the end
        at, taps = xp.arange(length), _taps(sigma)
        reach = len(taps) // 2
        parts = []
        for off, tap in enumerate(taps):
            from_pixel = xp.maximum(xp.minimum(at + (off - reach), length - 1), 0)
            parts.append(xp.take(x, from_pixel, 1) * tap)
        x = xp.transpose(sum(parts[1:], parts[0]), (0, *range(2, axes + 1), 1))
    return xp.cast(x, "float32") * 256.0**-axes


@backends.trace_constant
@lru_cache(maxsize=64)
def _taps(sigma: float) -> tuple[int, ...]:
    """Return a Gaussian as integers that sum to 256."""
    reach = min(int(3 * sigma) + 1, 48)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = np.floor(256 * weight / weight.sum()).astype(int)
    taps[reach] += 256 - taps.sum()
    return tuple(taps.tolist())


def _pasted(draw: Draw, of_cell: list[Array], cells: tuple[int, ...], count: Array) -> Region:
    """Paste the `count` most salient cells of source 1 over the base sample; on ties, the first cells.

    Args:
        draw: a draw with a saliency guide.
        of_cell: int32 (length,) for each axis: the cell of each pixel.
        cells: the number of cells along each axis.
        count: (n,), the number of cells to paste.
    """
    xp, n = draw.xp, draw.n
    sums = _sums(draw, draw.guide("saliency", 1), of_cell, cells)
    place = xp.argsort(xp.argsort(-sums))  # the rank of each cell, largest sum first
    pasted = xp.reshape(xp.cast(place, "float32") < xp.cast(count, "float32")[:, None], (n, *cells))
    for axis, cell in enumerate(of_cell, 1):
        pasted = xp.take(pasted, cell, axis)
    return Dense(xp.stack([~pasted, pasted]))


def _sums(draw: Draw, x: Array, of_cell: list[Array], cells: tuple[int, ...]) -> Array:
    """Return int32 (n, cells): the sum of integers (n, *size) over each cell."""
    xp, axes = draw.xp, len(cells)
    x = xp.cast(x, "int32")
    for cell, count in zip(of_cell, cells, strict=True):  # each pass moves the first spatial axis to the end
        _, length, *rest = xp.shape(x)
        belongs = xp.cast(xp.arange(count)[:, None] == cell[None, :], "int32")
        x = xp.matmul(belongs[None, None], xp.reshape(x, (draw.n, 1, length, prod(rest))))
        x = xp.transpose(xp.reshape(x, (draw.n, count, *rest)), (0, *range(2, axes + 1), 1))
    return xp.reshape(x, (draw.n, prod(cells)))
