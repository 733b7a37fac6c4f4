"""Recipes that look at a guide: where a partner is salient, what classes and objects it shows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..backends import Array
from ..core.checks import MAX_LENGTH
from ..core.keys import floor, look_up
from ..core.regions import Dense, Paste, Region
from .cut import around, side_ratios
from .lam import LamRecipe
from .masks import partner_parts
from .recipe import Draw, Recipe, check_whole, keep

MAX_CELLS = 256  #: of a grid along an axis


@dataclass(frozen=True, repr=False)
class SaliencyMix(LamRecipe):
    """Paste a box of another sample around its most salient pixel, at the same place.

        centre = argmax saliency[index[1]], the first pixel of several
        side[a] = floor(size[a] * (1 - lam)^(1/d)),  lam ~ Beta(alpha, alpha),  d = len(size)
        box = side around centre, clipped to the image

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        lam: instead of alpha, the weight of the base sample: a number, or (low, high) for a uniform one.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given; when drawn, without a guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> saliency = np.zeros((2, 8, 8), np.float32)
        >>> saliency[:, 2, 5] = 1
        >>> mix = ma.SaliencyMix(lam=0.75).draw(2, size=(8, 8), key=0, guide=saliency)
        >>> mix.region.box[1][0].tolist()
        [[0, 4], [3, 7]]

    Good for small objects: the box shows something of its class. Published gains over CutMix are small on CIFAR.

    Uddin et al. 2021, "SaliencyMix: A Saliency Guided Data Augmentation Strategy for Better Regularization". Other than
    in the authors' code, each row has its own lam and its own box (there the saliency of one image places the box of
    the whole batch), and sides may be odd.
    """

    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("saliency",)

    def region(self, draw: Draw) -> Region:
        """A box of the second source around its peak, over the base sample."""
        ratio = look_up(draw.xp, side_ratios(self.law, len(draw.size)), draw.random_bits(1)[0])
        sides = [floor(draw.xp, ratio * draw.length(axis)) for axis in range(len(draw.size))]
        box = [around(draw, axis, sides[axis], at) for axis, at in enumerate(draw.peak(1))]
        return Paste(None, (None, draw.xp.stack(box, axis=1)))


@dataclass(frozen=True)
class AttentiveCutMix(Recipe):
    """Paste the cells of another sample that are attended to the most.

        weight[1, pixel] = [the sum of saliency[index[1]] over its cell is among the `top` greatest]

    Args:
        top: how many cells are pasted, 1 or more; all, if there are fewer.
        cells: cells along each axis, 1 to 256; where the image is shorter, a cell is a pixel.

    Raises:
        ValueError: if an option is out of its range; when drawn, without a guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> saliency = np.arange(16, dtype=np.float32).reshape(1, 4, 4).repeat(2, axis=0)
        >>> mix = ma.AttentiveCutMix(top=1, cells=2).draw(2, size=(4, 4), key=0, guide=saliency)
        >>> mix.pixel_weights()[1, 0].astype(int)
        array([[0, 0, 0, 0],
               [0, 0, 0, 0],
               [0, 0, 1, 1],
               [0, 0, 1, 1]])

    Good for pasting what a trained network goes by: the guide is the attention or the class activation map of one.

    Walawalkar et al. 2020, "Attentive CutMix: An Enhanced Data Augmentation Approach for Deep Learning Based Image
    Classification": the 6 cells of a 7 x 7 grid. Nothing but the pairing is random, as in the paper. OpenMixup keeps
    these cells of the base sample instead; the paper pastes the partner's, as here.
    """

    top: int = 6
    cells: int = 7
    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("saliency",)

    def __post_init__(self) -> None:
        keep(self, top=check_whole("AttentiveCutMix top", self.top, 1))
        keep(self, cells=check_whole("AttentiveCutMix cells", self.cells, 1, MAX_CELLS))

    def region(self, draw: Draw) -> Region:
        """The cells of the greatest sums."""
        of_cell = [draw.xp.arange(length) * self.cells // length for length in draw.size]
        return _pasted(draw, of_cell, (self.cells,) * len(draw.size), draw.rows_of(self.top))


@dataclass(frozen=True, repr=False)
class MergeMix(LamRecipe):
    """Paste the tokens of another sample that are attended to the most, as many as lam says.

        weight[1, pixel] = [the sum of saliency[index[1]] over its token is among the round((1 - lam) * tokens) greatest]
        lam ~ Beta(alpha, alpha)

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. (a, b) is lam ~ Beta(a, b).
        token: the side of a token in pixels, 1 to 2^24, such as the patch size of the network.
        lam: instead of alpha, the base sample's part of the tokens: a number, or (low, high), uniform.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given; when drawn, without a guide.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> saliency = np.arange(16, dtype=np.float32).reshape(1, 4, 4).repeat(2, axis=0)
        >>> ma.MergeMix(lam=0.75, token=2).draw(2, size=(4, 4), key=0, guide=saliency).lam[1]
        array([0.25, 0.25], dtype=float32)

    Good for vision transformers whose attention is at hand: the guide is the attention of the class token.

    Jin et al. 2025, "MergeMix: A Unified Augmentation Paradigm for Visual and Multi-Modal Understanding", its mask
    alone: the top tokens of an attention map. Labels follow the pixels.
    """

    token: int = 16
    sources: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("saliency",)

    def __post_init__(self) -> None:
        super().__post_init__()
        keep(self, token=check_whole("MergeMix token", self.token, 1, MAX_LENGTH))

    def region(self, draw: Draw) -> Region:
        """The tokens of the greatest sums."""
        xp = draw.xp
        tokens = tuple((length + (self.token - 1)) // self.token for length in draw.size)
        part = look_up(xp, partner_parts(self.law), draw.random_bits(1)[0])
        count = xp.rint(part * xp.cast(xp.constant(prod(tokens)), "float32"))
        return _pasted(draw, [xp.arange(length) // self.token for length in draw.size], tokens, count)


def _pasted(draw: Draw, of_cell: list[Array], cells: tuple[int, ...], count: Array) -> Region:
    """The `count` cells of the greatest saliency of source 1 over the base sample; of equal ones the first.

    Args:
        of_cell: int32 (length,) for each axis: the cell of each pixel.
        cells: how many there are along each axis.
        count: (n,), how many are pasted.
    """
    xp, n = draw.xp, draw.n
    sums = _sums(draw, draw.guide("saliency", 1), of_cell, cells)
    place = xp.argsort(xp.argsort(-sums))  # of each cell in the order of the greatest
    pasted = xp.reshape(xp.cast(place, "float32") < xp.cast(count, "float32")[:, None], (n, *cells))
    for axis, cell in enumerate(of_cell, 1):
        pasted = xp.take(pasted, cell, axis)
    return Dense(xp.stack([~pasted, pasted]))


def _sums(draw: Draw, x: Array, of_cell: list[Array], cells: tuple[int, ...]) -> Array:
    """int32 (n, cells): the sum of whole numbers (n, *size) over each cell."""
    xp, axes = draw.xp, len(cells)
    x = xp.cast(x, "int32")
    for cell, count in zip(of_cell, cells, strict=True):  # the first spatial axis becomes the last one, axis by axis
        _, length, *rest = xp.shape(x)
        belongs = xp.cast(xp.arange(count)[:, None] == cell[None, :], "int32")
        x = xp.matmul(belongs[None, None], xp.reshape(x, (draw.n, 1, length, prod(rest))))
        x = xp.transpose(xp.reshape(x, (draw.n, count, *rest)), (0, *range(2, axes + 1), 1))
    return xp.reshape(x, (draw.n, prod(cells)))
