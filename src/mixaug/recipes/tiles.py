"""Sources side by side in tiles: each shows a crop of its source, or the whole source resized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isqrt, prod
from typing import Any, ClassVar

from ..backends import Array
from ..core.hints import short
from ..core.keys import below, beta_table, floor, look_up
from ..core.regions import Paste, Region, whole
from .cut import clipped_box, even, inside, side_ratios
from .lam import Alpha, LamRecipe, checked_alpha, pair
from .recipe import MAX_SOURCES, Draw, Recipe, check_number, check_whole, keep


@dataclass(frozen=True)
class RICAP(Recipe):
    """Patch four samples together, each a random crop of its image.

        the image is cut at rint(size[a] * q[a]) along its last two axes,  q ~ Beta(beta, beta)
        source box of source j: start ~ U{0, .., size[a] - side[a]};  lam[j] = area(tile j) / area(image)

    Args:
        beta: concentration, 1e-9 to 1e6: with small values one sample covers nearly the whole image. (a, b) means
            q ~ Beta(a, b).

    Raises:
        ValueError: if `beta` is out of its range.

    Example:
        >>> import mixaug as ma
        >>> ma.RICAP(beta=0.3).draw(4, size=(8, 8), key=(0, 0)).lam.shape
        (4, 4)

    Good for image classification with four unscaled samples at once. A small crop may show nothing of its class.

    Takahashi et al. 2018, "Data Augmentation using Random Image Cropping and Patching for Deep CNNs". The paper cuts
    the whole batch at one point: `per_batch(RICAP())`. Signals have two tiles; volumes are cut along the last two axes.
    """

    beta: Alpha = 0.3
    sources: ClassVar[int] = 4

    def __post_init__(self) -> None:
        keep(self, beta=checked_alpha("RICAP beta", self.beta, 2))

    def region(self, draw: Draw) -> Region:
        """Return four tiles, each with a crop of its size."""
        xp, axes, of_sources = draw.xp, len(draw.size), replace(draw, size=draw.source_size)
        _check_larger(draw)
        bits = draw.random_bits(2 + self.sources * axes)
        table = beta_table(*pair(self.beta))

        def cuts(axis: int) -> list[Array]:
            return [xp.cast(xp.rint(look_up(xp, table, bits[axis % 2]) * draw.length(axis)), "int32")]

        boxes = _tiles(draw, (2, 2), cuts)
        source_boxes = []
        for j, box in enumerate(boxes):
            places = bits[2 + j * axes :]
            sides = [xp.minimum(box[:, a, 1] - box[:, a, 0], draw.source_size[a]) for a in range(axes)]
            source_box = [inside(of_sources, a, sides[a], places[a]) for a in range(axes)]
            source_boxes.append(xp.stack(source_box, axis=1))
        return Paste(None, boxes, tuple(source_boxes))


def _check_larger(draw: Draw) -> None:
    """Raise a ValueError if the sources may be smaller than a crop."""
    pairs = zip(draw.size, draw.source_size, strict=False)
    if any(isinstance(a, int) and isinstance(b, int) and a > b for a, b in pairs):
        raise ValueError(
            f"size: expected at most {draw.source_size}, the size of the sources, for RICAP, which crops them, got "
            f"{draw.size}; pass a smaller size, or take ma.Mosaic(), which resizes them"
        )


@dataclass(frozen=True)
class Mosaic(Recipe):
    """Arrange samples in a grid with random lines, each resized to fit its tile.

        line t along axis a = floor(size[a] * (t - jitter / 2) / tiles[a]) + floor(size[a] * jitter / tiles[a] * u)
        t = 1 .. tiles[a] - 1,  u ~ U(0, 1)
        lam[j] = area(tile j) / area(image)

    Args:
        tiles: the number of tiles along each of the last two axes, or (rows, columns), 2 to 256 tiles in all: 2 means
            four sources, 3 nine, (2, 3) six. Signals have columns only.
        jitter: how far lines move, as a fraction of a tile: 0 is a regular grid; 1 (with two tiles) puts the centre in
            1/4 .. 3/4.

    Raises:
        ValueError: if an option is out of its range.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> ma.Mosaic(tiles=(2, 3)).draw(12, size=(32, 32), key=(0, 0)).lam.shape
        (6, 12)
        >>> x, y = np.zeros((4, 32, 32, 3), np.uint8), np.arange(4)
        >>> ma.mix_batch(ma.Mosaic(), (x, y), key=0, num_classes=4, size=(64, 48))[0].shape
        (4, 64, 48, 3)

    Good for detecting small objects: every sample is visible completely, at a smaller scale. A classifier may never
    meet that scale at test time.

    Bochkovskiy et al. 2020, "YOLOv4: Optimal Speed and Accuracy of Object Detection". Its detectors also crop the
    tiles; here each tile shows its whole sample. Samples are resized by nearest neighbour, like their masks.
    """

    tiles: int | tuple[int, int] = 2
    jitter: float = 1.0

    def __post_init__(self) -> None:
        keep(self, tiles=_checked_tiles(self.tiles))
        keep(self, jitter=check_number("Mosaic jitter", self.jitter, 0, 1, open_low=False))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.tiles if isinstance(self.tiles, tuple) else (self.tiles, self.tiles)

    @property
    def sources(self) -> int:
        """k, one per tile."""
        return prod(self.grid)

    def region(self, draw: Draw) -> Region:
        """Return the tiles, each with its whole source."""
        xp, axes = draw.xp, len(draw.size)
        counts = {axes - 2: self.grid[0], axes - 1: self.grid[1]}
        first = counts[axes - 1 - (axes - 1) % 2] - 1  # lines along the even one of these axes
        bits = draw.random_bits(sum(self.grid) - 2)

        def cuts(axis: int) -> list[Array]:
            words = bits[axis % 2 * first :]
            return [self._line(draw, axis, (t, counts[axis]), words[t - 1]) for t in range(1, counts[axis])]

        return Paste(None, _tiles(draw, self.grid, cuts), (whole(xp, draw.n, draw.source_size),) * self.sources)

    def _line(self, draw: Draw, axis: int, place: tuple[int, int], word: Array) -> Array:
        """Return int32 (n,): the position of line t."""
        xp, length, (t, tiles) = draw.xp, draw.length(axis), place
        least = floor(xp, length * ((t - self.jitter / 2) / tiles))
        return least + below(xp, length * (self.jitter / tiles), word)


def _checked_tiles(tiles: Any) -> int | tuple[int, int]:
    if not isinstance(tiles, (tuple, list)):
        return check_whole("Mosaic tiles", tiles, 2, isqrt(MAX_SOURCES))
    if len(tiles) != 2:
        raise ValueError(
            f"Mosaic tiles: expected a whole number or (rows, columns), got {short(tuple(tiles))}; give two"
        )
    rows, columns = (check_whole("Mosaic tiles", count, 1, MAX_SOURCES) for count in tiles)
    if not 2 <= rows * columns <= MAX_SOURCES:
        raise ValueError(
            f"Mosaic tiles: expected 2 to {MAX_SOURCES} tiles in all, got {rows} rows of {columns}; "
            "take other rows or columns"
        )
    return rows, columns


@dataclass(frozen=True)
class ResizeMix(Recipe):
    """Paste a whole other sample, resized, at a random place over each sample.

        side[a] = max(1, floor(size[a] * r)),  r ~ U(low, high);  the box lies inside the image
        lam[1] = area(box) / area(image)

    Args:
        low: the smallest side as a fraction of the image's side, above 0.
        high: the largest side, low to 1.

    Raises:
        ValueError: if `low` or `high` is out of its range.

    Example:
        >>> import mixaug as ma
        >>> ma.ResizeMix(low=0.5, high=0.5).draw(2, size=(8, 8), key=(0, 0)).lam[1]
        array([0.25, 0.25], dtype=float32)

    Good for samples of which a CutMix box often shows only background: here the whole partner is visible.

    Qin et al. 2020, "ResizeMix: Mixing Data with Preserved Object Information and True Labels". Samples are resized by
    nearest neighbour in integer arithmetic, so that masks fit and every library gets the same bits.
    """

    low: float = 0.1
    high: float = 0.8
    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        keep(self, low=check_number("ResizeMix low", self.low, 0, 1))
        keep(self, high=check_number("ResizeMix high", self.high, self.low, 1, open_low=False))

    def region(self, draw: Draw) -> Region:
        """Paste a box that shows the whole second source over the base sample."""
        xp, axes = draw.xp, len(draw.size)
        bits = draw.random_bits(1 + axes)
        ratio = look_up(xp, even(self.low, self.high, 1.0), bits[0])
        sides = [xp.maximum(floor(xp, ratio * draw.length(a)), 1) for a in range(axes)]
        box = xp.stack([inside(draw, a, sides[a], bits[1 + a]) for a in range(axes)], axis=1)
        return Paste(None, (None, box), (None, whole(xp, draw.n, draw.size)))


def _tiles(draw: Draw, grid: tuple[int, int], cuts: Callable[[int], list[Array]]) -> tuple[Array, ...]:
    """Return the boxes between the lines along the last two axes, in row-major order; signals have one row."""
    xp, axes, (rows, columns) = draw.xp, len(draw.size), grid
    image = whole(xp, draw.n, draw.size)
    ends = {a: [image[:, a, 0], *cuts(a), image[:, a, 1]] for a in range(axes)[-2:]}
    boxes = []
    for tile in range(rows * columns):
        at = {axes - 2: tile // columns, axes - 1: tile % columns}
        sides = [xp.stack(ends[a][at[a] : at[a] + 2], axis=1) if a in ends else image[:, a] for a in range(axes)]
        box = xp.stack(sides, axis=1)
        boxes.append(box * 0 if axes == 1 and tile >= columns else box)
    return tuple(boxes)


@dataclass(frozen=True, repr=False)
class SnapMix(LamRecipe):
    """Paste a box of another sample, made to fit a box of another size and place over each sample.

        box, part: two boxes as of CutMix, each with a lam ~ Beta(alpha, alpha) of its own
        output = the partner's part, made to fit the box, over the base sample

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 5. (a, b) is lam ~ Beta(a, b).
        lam: instead of alpha, the weight of the base sample: a number, or (low, high) for a uniform one.
        dominant: whether to draw max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, or both `alpha` and `lam` are given.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> images, labels = np.zeros((4, 8, 8, 3), np.uint8), np.arange(4)
        >>> batch = {"images": images, "labels": labels, "saliency": np.ones((4, 8, 8), np.float32)}
        >>> fields = {"labels": ma.Labels(4, rule="mass")}
        >>> ma.mix_batch(ma.SnapMix(), batch, key=0, fields=fields)["labels"].shape
        (4, 4)

    Good for fine-grained classes, with labels by the mass of class activation maps: `ma.Labels(rule="mass")`. Without
    that rule labels follow the pixels, as those of every recipe.

    Huang et al. 2021, "SnapMix: Semantically Proportional Mixing for Augmenting Fine-grained Data". Where one of the
    boxes has no pixel, nothing is pasted. In the paper the two boxes are the same for the whole batch, as those of
    `per_batch(SnapMix())` are.
    """

    sources: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.alpha is None and self.lam is None:
            keep(self, alpha=5.0)
        super().__post_init__()

    def region(self, draw: Draw) -> Region:
        """A box of the base sample, and the partner's part in it."""
        xp, axes = draw.xp, len(draw.size)
        bits = draw.random_bits(2 + 2 * axes)
        ratios = [look_up(xp, side_ratios(self.law, axes), bits[i]) for i in range(2)]
        box, part = (clipped_box(draw, ratios[i], bits[2 + i * axes : 2 + (i + 1) * axes]) for i in range(2))
        is_empty = prod([part[:, axis, 1] - part[:, axis, 0] for axis in range(axes)]) == 0
        box = xp.where(is_empty[:, None, None], box * 0, box)
        return Paste(None, (None, box), (None, part))
