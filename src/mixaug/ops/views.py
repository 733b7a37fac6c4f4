"""The visible part of each source of a mix: its weight in boxes and at points, and the window that moves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import and_, mul, or_
from typing import NamedTuple, TypeAlias

from ..backends import Array, Dim, Library
from ..core.keys import ONE
from ..core.regions import Paste, Region, Size, Sizes, inside
from ..core.scale import same
from . import rows
from .windows import shown as see_through

MIN_WEIGHT = 0.5 / ONE  #: a source of less weight is invisible: it rounds to 0 in units of 1/65536
SLACK = 1e-6  #: the tolerance of thresholds, for rounding differences between libraries

Edges: TypeAlias = list[Array]  #: the coordinates (n, m) along each spatial axis


class View(NamedTuple):
    """The weight of one source, and the window that moves it; None if it is not moved."""

    weight: _Pasted | _Weighed
    window: _Window | None

    def through(self, position: Edges) -> Edges:
        """Map positions in the source to positions in the output."""
        return position if self.window is None else self.window.through(position)

    def within(self, position: Edges) -> Edges:
        """Clip positions in the output to the window."""
        return position if self.window is None else self.window.within(position)

    def at(self, xp: Library, position: Edges, size: Size) -> Array:
        """Return the weight at the pixels of positions in the output, 0 outside the window and the image."""
        real, zero = xp.dtype(position[0]), xp.full((), 0.0, xp.dtype(position[0]))
        pixels = [xp.floor(v) for v in position] if self.window is None else self.window.pixels(position)
        within = [(v >= 0.0) & (v < number(xp, length, real)) for v, length in zip(pixels, size, strict=True)]
        inside = reduce(and_, within) if self.window is None else reduce(and_, within) & self.window.contains(pixels)
        return where(xp, inside, self.weight.at([xp.where(inside, pixel, zero) for pixel in pixels]))

    def shown(self, masks: Array) -> Array:
        """Move masks (n, m, *size) to where the window shows them."""
        return masks if self.window is None else self.window.shown(masks)

    def part_shown(self, masks: Array) -> Array | float:
        """Return the fraction of each mask that the window shows, float32 (n, m)."""
        return 1.0 if self.window is None else self.window.part_shown(masks)


@dataclass(frozen=True, eq=False)
class _Window:
    """A source box resized to a box, int32 (n, d, 2), in the rows where the two or the sizes differ."""

    xp: Library
    box: Array
    source_box: Array
    active: Array  #: bool (n, 1), the rows with a window
    sizes: Sizes

    def through(self, position: Edges) -> Edges:
        """Return box[0] + (position - source_box[0]) * side(box) / side(source_box) along each axis."""
        moved = []
        for axis, v in enumerate(position):
            (first, last), (start, stop) = self._ends(self.box, axis, v), self._ends(self.source_box, axis, v)
            scale = (last - first) / self.xp.maximum(stop - start, 1.0)
            moved.append(self._select(first + (v - start) * scale, v))
        return moved

    def within(self, position: Edges) -> Edges:
        """Clip positions to the box."""
        ends = [self._ends(self.box, axis, v) for axis, v in enumerate(position)]
        clipped = [self.xp.minimum(self.xp.maximum(v, a), b) for v, (a, b) in zip(position, ends, strict=True)]
        return [self._select(inner, v) for inner, v in zip(clipped, position, strict=True)]

    def pixels(self, position: Edges) -> Edges:
        """Return the pixels of positions; mapped positions may have been rounded down, which is compensated."""
        return [self._select(self.xp.floor(v + 100 * SLACK), self.xp.floor(v)) for v in position]

    def contains(self, pixels: Edges) -> Array:
        """Return which pixels are inside the box, bool (n, m)."""
        ends = [self._ends(self.box, axis, v) for axis, v in enumerate(pixels)]
        return ~self.active | reduce(and_, [(v >= a) & (v < b) for v, (a, b) in zip(pixels, ends, strict=True)])

    def shown(self, masks: Array) -> Array:
        """Resize masks (n, m, *size) from the source box to the box."""
        axes = [2 + axis for axis in range(len(self.sizes.output))]
        view = see_through(self.xp, masks, (self.box, self.source_box), self.sizes, axes)
        view = view & self._inside(self.box, self.sizes.output)
        return self.xp.where(rows.over(self.active[:, 0], masks), view, masks) if same(*self.sizes) else view

    def part_shown(self, masks: Array) -> Array:
        """Return the fraction of each mask inside the source box, float32 (n, m)."""
        xp, axes = self.xp, tuple(range(2, 2 + len(self.sizes.source)))
        inner = masks & self._inside(self.source_box, self.sizes.source)
        part = xp.total(inner, axes) / xp.maximum(xp.total(masks, axes), 1.0)
        return self._select(part, xp.full((), 1.0, "float32"))

    def _inside(self, box: Array, size: Size) -> Array:
        return inside(self.xp, box, size)[:, None]

    def _ends(self, box: Array, axis: int, like: Array) -> tuple[Array, Array]:
        ends = self.xp.cast(box[:, axis], like.dtype)
        return ends[:, :1], ends[:, 1:]

    def _select(self, moved: Array, unmoved: Array) -> Array:
        return self.xp.where(self.active, moved, unmoved)


def views_of(xp: Library, index: Array, region: Region, sizes: Sizes, real: str) -> list[View]:
    """Return the view of each source, computed in dtype `real`."""
    size, windows = sizes.output, _windows(xp, region, sizes)
    if isinstance(region, Paste) and len(region.holes) < 2:  # several holes may overlap
        weights: Sequence[_Pasted | _Weighed] = _pasted(xp, index, region, windows, size, real)
    else:
        weights = [_Weighed(xp, xp.cast(weight, real)) for weight in weights_of(xp, index, region, sizes)]
    return [View(weight, window) for weight, window in zip(weights, windows, strict=True)]


def _windows(xp: Library, region: Region, sizes: Sizes) -> list[_Window | None]:
    if not same(*sizes):  # every source has a window, an empty one if it has no box
        first: Array = region.box[0]
        empty = first * 0
        always = xp.cast(empty[:, 0, :1] + 1, "bool")
        pairs = zip(region.box, region.source_box, strict=True)
        views = [(empty, empty) if box is None else (box, source_box) for box, source_box in pairs]
        return [_Window(xp, box, source_box, always, sizes) for box, source_box in views]
    return [
        None
        if box is None or source_box is None
        else _Window(xp, box, source_box, _is_window(box, source_box)[:, None], sizes)
        for box, source_box in zip(region.box, region.source_box, strict=True)
    ]


def _is_window(box: Array, source_box: Array) -> Array:
    axes = range(box.shape[1])
    moved = reduce(or_, [box[:, a, end] != source_box[:, a, end] for a in axes for end in (0, 1)])
    return moved & reduce(and_, [box[:, a, 1] > box[:, a, 0] for a in axes])


def _contents(xp: Library, index: Array, windows: list[_Window | None]) -> Array:
    """Return an id of the content of each source, int32 (k, n): its row, or a unique number inside a window.

    Equal sources count as one, as in `mix.pixel_weights()`; the same row in two windows counts twice.
    """
    contents = [
        index[j] if window is None else xp.where(window.active[:, 0], xp.full((), -1 - j, "int32"), index[j])
        for j, window in enumerate(windows)
    ]
    return xp.stack(contents)


def weights_of(xp: Library, index: Array, region: Region, sizes: Sizes) -> list[Array]:
    """Return the weight of each source at each pixel, float32 (n, *size); sources with a window have weight inside it.

    Weights of equal sources are added up.
    """
    size, windows = sizes.output, _windows(xp, region, sizes)
    dense = region.pixel_weights(xp, xp.shape(index)[1], size)
    weights = []
    for j, window in enumerate(windows):
        weight = xp.cast(dense[j], "float32")
        if window is not None and isinstance(region, Paste):
            weight = where(xp, ~rows.over(window.active[:, 0], weight) | inside(xp, window.box, size), weight)
        weights.append(weight)
    merged = rows.merge(xp, _contents(xp, index, windows), xp.stack(weights))
    merged = where(xp, merged > MIN_WEIGHT, merged)
    return [merged[j] for j in range(region.sources)]


@dataclass(frozen=True, eq=False)
class _Weighed:
    """The weight of a source at each pixel, (n, *size); a box covers a fraction of each pixel along each axis."""

    xp: Library
    weight: Array

    @property
    def size(self) -> Size:
        """The spatial size."""
        return self.xp.shape(self.weight)[1:]

    def peak(self) -> Array:
        """Return the greatest weight, (n, 1)."""
        return self.xp.highest(self._flat())

    def at(self, pixels: Edges) -> Array:
        """Return the weight at pixels, (n, m)."""
        coordinates = [self.xp.cast(pixel, "int32") for pixel in pixels]
        axes = range(1, len(coordinates))
        index = reduce(lambda flat, axis: flat * self.size[axis] + coordinates[axis], axes, coordinates[0])
        return self.xp.take_each(self._flat(), index, 1)

    def integral(self, first: Edges, last: Edges) -> Array:
        """Return the sum of the weight over boxes, (n, m)."""
        covers = self._covers(first, last)
        return self.xp.summed(self._along(self.weight, covers, len(covers) - 1) * covers[-1])

    def bounds(self, first: Edges, last: Edges) -> tuple[Edges, Edges]:
        """Shrink boxes along each axis to the first and the last slice with weight."""
        xp, covers, sides = self.xp, self._covers(first, last), sides_of(first, last)
        visible = xp.cast(self.weight > 0, xp.dtype(self.weight))
        out: tuple[Edges, Edges] = [], []
        for axis, cover in enumerate(covers):
            slices = self._along(visible, covers, axis)
            has_weight = (cover > 0) & (slices > SLACK * _across(sides, axis)[..., None])
            pixel = xp.cast(xp.arange(self.size[axis]), xp.dtype(self.weight))
            out[0].append(xp.maximum(first[axis], -_greatest(xp, has_weight, -pixel)))
            out[1].append(xp.minimum(last[axis], _greatest(xp, has_weight, pixel + 1.0)))
        return out

    def _covers(self, first: Edges, last: Edges) -> list[Array]:
        """Return along each axis the fraction of each pixel inside each box, (n, m, length)."""
        xp, covers = self.xp, []
        for length, low, high in zip(self.size, first, last, strict=True):
            pixel = xp.cast(xp.arange(length), xp.dtype(low))[None, None]
            inner = xp.minimum(high[..., None], pixel + 1.0) - xp.maximum(low[..., None], pixel)
            covers.append(xp.maximum(inner, 0.0))
        return covers

    def _along(self, weight: Array, covers: list[Array], axis: int) -> Array:
        """Return the weight in each slice of the boxes along an axis, (n, m, length)."""
        xp, others = self.xp, [a for a in range(len(covers)) if a != axis]
        if not others:
            return weight[:, None]
        contracted, *others = others  # summed over by a matrix product
        remaining = [a for a in range(len(covers)) if a != contracted]
        lengths = [self.size[a] for a in remaining]
        n, m, length = xp.shape(covers[contracted])
        order = (0, *(1 + a for a in remaining), 1 + contracted)
        slices = xp.reshape(xp.transpose(weight, order), (n, prod(lengths), length))
        out = xp.reshape(xp.inner(covers[contracted], slices), (n, m, *lengths))
        for other in others:
            position = remaining.index(other)
            shape = (slice(None), slice(None), *(slice(None) if a == other else None for a in remaining))
            out = xp.cast(xp.total(out * covers[other][shape], (2 + position,)), xp.dtype(weight))
            remaining.remove(other)
        return out

    def _flat(self) -> Array:
        return self.xp.reshape(self.weight, (self.xp.shape(self.weight)[0], prod(self.size)))


@dataclass(frozen=True, eq=False)
class _Pasted:
    """The background weight of a source, and the boxes that show it or hide it; no pixel weights are computed.

    Args:
        free: (n, 1), the weight outside all boxes; None if it is 0.
        boxes: (n, 1, h, d, 2), all boxes and at most one hole; they are disjoint.
        own: bool (n, 1, h), the boxes that show this source.
    """

    xp: Library
    free: Array | None
    boxes: Array
    own: Array

    def peak(self) -> Array:
        """Return the greatest weight, (n, 1)."""
        axes = range(self.boxes.shape[3])
        visible = self.own & reduce(and_, [self.boxes[..., a, 1] > self.boxes[..., a, 0] for a in axes])
        pasted = self.xp.highest(self.xp.cast(visible, self.xp.dtype(self.boxes)))[..., 0]
        return pasted if self.free is None else self.xp.maximum(pasted, self.free)

    def at(self, pixels: Edges) -> Array:
        """Return the weight at pixels, (n, m)."""
        return self.integral(pixels, [pixel + 1.0 for pixel in pixels])

    def integral(self, first: Edges, last: Edges) -> Array:
        """Return the sum of the weight over boxes, (n, m)."""
        areas = reduce(mul, self._overlaps(first, last))
        pasted = self.xp.summed(where(self.xp, self.own, areas))
        if self.free is None:
            return pasted
        return self.free * (reduce(mul, sides_of(first, last)) - self.xp.summed(areas)) + pasted

    def bounds(self, first: Edges, last: Edges) -> tuple[Edges, Edges]:
        """Shrink boxes along each axis to the first and the last position that is not hidden."""
        overlaps, sides = self._overlaps(first, last), sides_of(first, last)
        own = self.own & (reduce(mul, overlaps) > 0)
        out: tuple[Edges, Edges] = [], []
        for axis, (low, high) in enumerate(zip(first, last, strict=True)):
            starts, ends = self.boxes[..., axis, 0], self.boxes[..., axis, 1]
            hiding = where(self.xp, ~self.own, _across(overlaps, axis)), _across(sides, axis)
            out[0].append(self._first(own, hiding, low, high, starts, ends))
            out[1].append(-self._first(own, hiding, -high, -low, -ends, -starts))  # the last is the first, mirrored
        return out

    def _overlaps(self, first: Edges, last: Edges) -> list[Array]:
        """Return along each axis the overlap of each box with each of `self.boxes`, (n, m, h)."""
        xp, out = self.xp, []
        for axis, (low, high) in enumerate(zip(first, last, strict=True)):
            inner = xp.minimum(self.boxes[..., axis, 1], high[..., None])
            out.append(xp.maximum(inner - xp.maximum(self.boxes[..., axis, 0], low[..., None]), 0.0))
        return out

    def _first(
        self, own: Array, hiding: tuple[Array, Array], low: Array, high: Array, starts: Array, ends: Array
    ) -> Array:
        """Return the first position with weight between `low` and `high`, (n, m); `high` if there is none."""
        xp, low, high = self.xp, low[..., None], high[..., None]
        pasted = -xp.highest(-xp.where(own, xp.maximum(starts, low), high))[..., 0]
        if self.free is None:
            return pasted
        # the free part starts at `low`, or at the end of a box that hides whole slices
        hidden, across = hiding
        candidates = xp.concat([low, xp.broadcast(ends, xp.shape(hidden))], 2)
        over = (starts[..., None, :] <= candidates[..., None]) & (candidates[..., None] < ends[..., None, :])
        covered = xp.summed(where(xp, over, hidden[..., None, :]))
        is_free = (covered < across[..., None] * (1 - SLACK)) & (candidates >= low)
        free = -xp.highest(-xp.where(is_free, xp.minimum(candidates, high), high))[..., 0]
        return xp.where(self.free > 0, free, pasted)


def _pasted(
    xp: Library, index: Array, region: Paste, windows: list[_Window | None], size: Size, real: str
) -> list[_Pasted]:
    """Return the weight of each source of a Paste."""
    contents, n = _contents(xp, index, windows), xp.shape(index)[1]
    always, never = (xp.full((n,), value, "bool") for value in (True, False))
    pasted = [j for j, box in enumerate(region.box) if box is not None]
    hiding = [*(region.box[j] for j in pasted), *region.holes]
    unowned = [never] * (1 if region.holes or not hiding else 0)
    boxes = xp.stack(hiding or [xp.full((n, len(size), 2), 0, "int32")], axis=1)
    free = _free(xp, contents, region, windows, real)
    out = []
    for j, weight in enumerate(free):
        first = reduce(and_, [contents[i] != contents[j] for i in range(j)], always)
        own = [*(first & (contents[i] == contents[j]) for i in pasted), *unowned]
        out.append(_Pasted(xp, weight, xp.cast(boxes, real)[:, None], xp.stack(own, axis=1)[:, None]))
    return out


def _free(xp: Library, contents: Array, region: Paste, windows: list[_Window | None], real: str) -> list[Array | None]:
    """Return the weight of each source outside all boxes, (n, 1), 0 if it has a window; None if it has none."""
    if region.background is None:
        base = xp.full((xp.shape(contents)[1],), 1.0, real)
        free = [base, *[None] * (region.sources - 1)]
    else:
        merged = rows.merge(xp, contents, xp.cast(region.background, real))
        free = [where(xp, merged[j] > MIN_WEIGHT, merged[j]) for j in range(region.sources)]
    for j, window in enumerate(windows):
        if free[j] is not None and window is not None:
            free[j] = where(xp, ~window.active[:, 0], free[j])
    return [None if weight is None else weight[:, None] for weight in free]


def sides_of(first: Edges, last: Edges) -> Edges:
    """Return the lengths of boxes along each axis."""
    return [b - a for a, b in zip(first, last, strict=True)]


def where(xp: Library, condition: Array, x: Array) -> Array:
    """Return `x` where the condition is true, 0 elsewhere."""
    return xp.where(condition, x, xp.full((), 0.0, xp.dtype(x)))


def _across(sides: list[Array], axis: int) -> Array:
    """Return the product of the sides along the other axes."""
    return reduce(mul, [side for a, side in enumerate(sides) if a != axis], sides[0] * 0.0 + 1.0)


def _greatest(xp: Library, condition: Array, x: Array) -> Array:
    """Return the maximum of x (length,) where the condition (n, m, length) is true, (n, m); -2^30 if it never is."""
    return xp.highest(xp.where(condition, x, xp.full((), -(2.0**30), xp.dtype(x))))[..., 0]


def number(xp: Library, length: Dim, real: str) -> Array:
    """Convert a length to a float."""
    return xp.cast(xp.constant(length), real)
