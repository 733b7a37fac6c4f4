"""Where each source of a mix is seen: how much of a box, or of a point, and through which window."""

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

SEEN = 0.5 / ONE  #: what weighs less is not to be seen: it is none of the 1/65536 that images of uint8 are blended by
SLACK = 1e-6  #: how far two libraries may be apart: thresholds are met within it

Edges: TypeAlias = list[Array]  #: of boxes (n, m), along each spatial axis


class View(NamedTuple):
    """Where one source is seen, and through which window; None: as it is."""

    seen: _Pasted | _Weighed
    window: _Window | None

    def through(self, place: Edges) -> Edges:
        """Where places of the source are in the output."""
        return place if self.window is None else self.window.through(place)

    def within(self, place: Edges) -> Edges:
        """The places of the output, moved into the window where they are outside of it."""
        return place if self.window is None else self.window.within(place)

    def at(self, xp: Library, place: Edges, size: Size) -> Array:
        """The source's weight at the pixels that these places of the output lie in, 0 outside of window and image."""
        real, zero = xp.dtype(place[0]), xp.full((), 0.0, xp.dtype(place[0]))
        pixels = [xp.floor(v) for v in place] if self.window is None else self.window.pixels(place)
        within = [(v >= 0.0) & (v < number(xp, length, real)) for v, length in zip(pixels, size, strict=True)]
        seen = reduce(and_, within) if self.window is None else reduce(and_, within) & self.window.holds(pixels)
        return where(xp, seen, self.seen.at([xp.where(seen, pixel, zero) for pixel in pixels]))

    def shown(self, masks: Array) -> Array:
        """What is shown of masks (n, m, *size), where it is in the output."""
        return masks if self.window is None else self.window.shown(masks)

    def part_shown(self, masks: Array) -> Array | float:
        """float32 (n, m): how much of each mask is in the part that is shown."""
        return 1.0 if self.window is None else self.window.part_shown(masks)


@dataclass(frozen=True, eq=False)
class _Window:
    """A box that shows a source box, int32 (n, d, 2), in the rows, bool (n, 1), where the two or the sizes differ."""

    xp: Library
    box: Array
    source_box: Array
    there: Array
    sizes: Sizes

    def through(self, place: Edges) -> Edges:
        """box[0] + (place - source_box[0]) * side(box) / side(source_box) along each axis."""
        moved = []
        for axis, v in enumerate(place):
            (first, last), (start, stop) = self._ends(self.box, axis, v), self._ends(self.source_box, axis, v)
            scale = (last - first) / self.xp.maximum(stop - start, 1.0)
            moved.append(self._if(first + (v - start) * scale, v))
        return moved

    def within(self, place: Edges) -> Edges:
        """Places moved into the box."""
        ends = [self._ends(self.box, axis, v) for axis, v in enumerate(place)]
        moved = [self.xp.minimum(self.xp.maximum(v, a), b) for v, (a, b) in zip(place, ends, strict=True)]
        return [self._if(inner, v) for inner, v in zip(moved, place, strict=True)]

    def pixels(self, place: Edges) -> Edges:
        """The pixels that places lie in; those that came through the window may have been rounded down on their way."""
        return [self._if(self.xp.floor(v + 100 * SLACK), self.xp.floor(v)) for v in place]

    def holds(self, pixels: Edges) -> Array:
        """Bool (n, m): which pixels are of the box."""
        ends = [self._ends(self.box, axis, v) for axis, v in enumerate(pixels)]
        return ~self.there | reduce(and_, [(v >= a) & (v < b) for v, (a, b) in zip(pixels, ends, strict=True)])

    def shown(self, masks: Array) -> Array:
        """Masks (n, m, *size) as they are in the box."""
        axes = [2 + axis for axis in range(len(self.sizes.output))]
        view = see_through(self.xp, masks, (self.box, self.source_box), self.sizes, axes)
        view = view & self._inside(self.box, self.sizes.output)
        return self.xp.where(rows.over(self.there[:, 0], masks), view, masks) if same(*self.sizes) else view

    def part_shown(self, masks: Array) -> Array:
        """float32 (n, m): how many of the pixels of each mask are in the source box."""
        xp, axes = self.xp, tuple(range(2, 2 + len(self.sizes.source)))
        inner = masks & self._inside(self.source_box, self.sizes.source)
        part = xp.total(inner, axes) / xp.maximum(xp.total(masks, axes), 1.0)
        return self._if(part, xp.full((), 1.0, "float32"))

    def _inside(self, box: Array, size: Size) -> Array:
        return inside(self.xp, box, size)[:, None]

    def _ends(self, box: Array, axis: int, like: Array) -> tuple[Array, Array]:
        ends = self.xp.cast(box[:, axis], like.dtype)
        return ends[:, :1], ends[:, 1:]

    def _if(self, through: Array, plain: Array) -> Array:
        return self.xp.where(self.there, through, plain)


def views_of(xp: Library, index: Array, region: Region, sizes: Sizes, real: str) -> list[View]:
    """How each source is seen."""
    size, windows = sizes.output, _windows(xp, region, sizes)
    if isinstance(region, Paste) and len(region.holes) < 2:  # several may overlap
        seen: Sequence[_Pasted | _Weighed] = _pasted(xp, index, region, windows, size, real)
    else:
        seen = [_Weighed(xp, xp.cast(weight, real)) for weight in weights_of(xp, index, region, sizes)]
    return [View(one, window) for one, window in zip(seen, windows, strict=True)]


def _windows(xp: Library, region: Region, sizes: Sizes) -> list[_Window | None]:
    if not same(*sizes):  # all are windows, empty ones where a source has no box
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


def _shows(xp: Library, index: Array, windows: list[_Window | None]) -> Array:
    """int32 (k, n): what each source shows, its row, or a number of its own where it is seen through a window.

    Equal sources count as one, as in `mix.pixel_weights()`; the same row in two windows does not.
    """
    shows = [
        index[j] if window is None else xp.where(window.there[:, 0], xp.full((), -1 - j, "int32"), index[j])
        for j, window in enumerate(windows)
    ]
    return xp.stack(shows)


def weights_of(xp: Library, index: Array, region: Region, sizes: Sizes) -> list[Array]:
    """float32 (n, *size) a source: its weight at each pixel; what shows through a window is seen there alone."""
    size, windows = sizes.output, _windows(xp, region, sizes)
    dense = region.pixel_weights(xp, xp.shape(index)[1], size)
    weights = []
    for j, window in enumerate(windows):
        weight = xp.cast(dense[j], "float32")
        if window is not None and isinstance(region, Paste):
            weight = where(xp, ~rows.over(window.there[:, 0], weight) | inside(xp, window.box, size), weight)
        weights.append(weight)
    merged = rows.merge(xp, _shows(xp, index, windows), xp.stack(weights))
    merged = where(xp, merged > SEEN, merged)
    return [merged[j] for j in range(region.sources)]


@dataclass(frozen=True, eq=False)
class _Weighed:
    """A source's weight at each pixel, (n, *size); a box covers a part of each pixel along each axis."""

    xp: Library
    weight: Array

    @property
    def size(self) -> Size:
        """That of the image."""
        return self.xp.shape(self.weight)[1:]

    def peak(self) -> Array:
        """(n, 1): its highest weight."""
        return self.xp.highest(self._flat())

    def at(self, pixels: Edges) -> Array:
        """(n, m): its weight at pixels of the image."""
        places = [self.xp.cast(pixel, "int32") for pixel in pixels]
        index = reduce(lambda at, axis: at * self.size[axis] + places[axis], range(1, len(places)), places[0])
        return self.xp.take_each(self._flat(), index, 1)

    def integral(self, first: Edges, last: Edges) -> Array:
        """(n, m): the weight over the boxes."""
        covers = self._covers(first, last)
        return self.xp.summed(self._along(self.weight, covers, len(covers) - 1) * covers[-1])

    def bounds(self, first: Edges, last: Edges) -> tuple[Edges, Edges]:
        """The boxes from the first slice of each where it has weight to the last such slice, along each axis."""
        xp, covers, sides = self.xp, self._covers(first, last), sides_of(first, last)
        seen = xp.cast(self.weight > 0, xp.dtype(self.weight))
        out: tuple[Edges, Edges] = [], []
        for axis, cover in enumerate(covers):
            slices = self._along(seen, covers, axis)
            some = (cover > 0) & (slices > SLACK * _across(sides, axis)[..., None])
            pixel = xp.cast(xp.arange(self.size[axis]), xp.dtype(self.weight))
            out[0].append(xp.maximum(first[axis], -_greatest(xp, some, -pixel)))
            out[1].append(xp.minimum(last[axis], _greatest(xp, some, pixel + 1.0)))
        return out

    def _covers(self, first: Edges, last: Edges) -> list[Array]:
        """(n, m, length) along each axis: how much of each pixel lies in each box."""
        xp, covers = self.xp, []
        for length, low, high in zip(self.size, first, last, strict=True):
            pixel = xp.cast(xp.arange(length), xp.dtype(low))[None, None]
            inner = xp.minimum(high[..., None], pixel + 1.0) - xp.maximum(low[..., None], pixel)
            covers.append(xp.maximum(inner, 0.0))
        return covers

    def _along(self, weight: Array, covers: list[Array], axis: int) -> Array:
        """(n, m, length): the weight in each slice of the boxes along an axis."""
        xp, others = self.xp, [a for a in range(len(covers)) if a != axis]
        if not others:
            return weight[:, None]
        one, *others = others  # a product of matrices sums over this axis
        left = [a for a in range(len(covers)) if a != one]
        lengths = [self.size[a] for a in left]
        n, m, length = xp.shape(covers[one])
        slices = xp.reshape(xp.transpose(weight, (0, *(1 + a for a in left), 1 + one)), (n, prod(lengths), length))
        out = xp.reshape(xp.inner(covers[one], slices), (n, m, *lengths))
        for other in others:
            at = left.index(other)
            shape = (slice(None), slice(None), *(slice(None) if a == other else None for a in left))
            out = xp.cast(xp.total(out * covers[other][shape], (2 + at,)), xp.dtype(weight))
            left.remove(other)
        return out

    def _flat(self) -> Array:
        return self.xp.reshape(self.weight, (self.xp.shape(self.weight)[0], prod(self.size)))


@dataclass(frozen=True, eq=False)
class _Pasted:
    """A source's background weight, and boxes of which it has some and none of the others: no pixels are looked at.

    Args:
        free: (n, 1), its weight where no box is, or None where it has none.
        boxes: (n, 1, h, d, 2), all boxes and the one hole. They are disjoint.
        own: bool (n, 1, h), which of them show this source.
    """

    xp: Library
    free: Array | None
    boxes: Array
    own: Array

    def peak(self) -> Array:
        """(n, 1): its highest weight."""
        axes = range(self.boxes.shape[3])
        some = self.own & reduce(and_, [self.boxes[..., a, 1] > self.boxes[..., a, 0] for a in axes])
        own = self.xp.highest(self.xp.cast(some, self.xp.dtype(self.boxes)))[..., 0]
        return own if self.free is None else self.xp.maximum(own, self.free)

    def at(self, pixels: Edges) -> Array:
        """(n, m): its weight at pixels of the image."""
        return self.integral(pixels, [pixel + 1.0 for pixel in pixels])

    def integral(self, first: Edges, last: Edges) -> Array:
        """(n, m): the weight over the boxes."""
        taken = reduce(mul, self._overlaps(first, last))
        own = self.xp.summed(where(self.xp, self.own, taken))
        if self.free is None:
            return own
        return self.free * (reduce(mul, sides_of(first, last)) - self.xp.summed(taken)) + own

    def bounds(self, first: Edges, last: Edges) -> tuple[Edges, Edges]:
        """The boxes from where each is first not hidden to where it is last not, along each axis."""
        overlaps, sides = self._overlaps(first, last), sides_of(first, last)
        own = self.own & (reduce(mul, overlaps) > 0)
        out: tuple[Edges, Edges] = [], []
        for axis, (low, high) in enumerate(zip(first, last, strict=True)):
            starts, ends = self.boxes[..., axis, 0], self.boxes[..., axis, 1]
            hiding = where(self.xp, ~self.own, _across(overlaps, axis)), _across(sides, axis)
            out[0].append(self._first(own, hiding, low, high, starts, ends))
            out[1].append(-self._first(own, hiding, -high, -low, -ends, -starts))  # the last is the first from behind
        return out

    def _overlaps(self, first: Edges, last: Edges) -> list[Array]:
        """(n, m, h) along each axis: how much of each of `boxes` lies in each box."""
        xp, out = self.xp, []
        for axis, (low, high) in enumerate(zip(first, last, strict=True)):
            inner = xp.minimum(self.boxes[..., axis, 1], high[..., None])
            out.append(xp.maximum(inner - xp.maximum(self.boxes[..., axis, 0], low[..., None]), 0.0))
        return out

    def _first(
        self, own: Array, hiding: tuple[Array, Array], low: Array, high: Array, starts: Array, ends: Array
    ) -> Array:
        """(n, m): the first place between `low` and `high` where it has weight; `high` where there is none."""
        xp, low, high = self.xp, low[..., None], high[..., None]
        pasted = -xp.highest(-xp.where(own, xp.maximum(starts, low), high))[..., 0]
        if self.free is None:
            return pasted
        # what is free begins at `low`, or where one of the boxes ends that hide all of a slice
        hidden, across = hiding
        places = xp.concat([low, xp.broadcast(ends, xp.shape(hidden))], 2)
        over = (starts[..., None, :] <= places[..., None]) & (places[..., None] < ends[..., None, :])
        covered = xp.summed(where(xp, over, hidden[..., None, :]))
        is_free = (covered < across[..., None] * (1 - SLACK)) & (places >= low)
        free = -xp.highest(-xp.where(is_free, xp.minimum(places, high), high))[..., 0]
        return xp.where(self.free > 0, free, pasted)


def _pasted(
    xp: Library, index: Array, region: Paste, windows: list[_Window | None], size: Size, real: str
) -> list[_Pasted]:
    """How each source of a Paste is seen."""
    shows, rows_ = _shows(xp, index, windows), xp.shape(index)[1]
    always, never = (xp.full((rows_,), value, "bool") for value in (True, False))
    held = [j for j, box in enumerate(region.box) if box is not None]
    hiding = [*(region.box[j] for j in held), *region.holes]
    nobody = [never] * (1 if region.holes or not hiding else 0)
    boxes = xp.stack(hiding or [xp.full((rows_, len(size), 2), 0, "int32")], axis=1)
    free = _free(xp, shows, region, windows, real)
    out = []
    for j, weight in enumerate(free):
        first = reduce(and_, [shows[i] != shows[j] for i in range(j)], always)
        own = [*(first & (shows[i] == shows[j]) for i in held), *nobody]
        out.append(_Pasted(xp, weight, xp.cast(boxes, real)[:, None], xp.stack(own, axis=1)[:, None]))
    return out


def _free(xp: Library, shows: Array, region: Paste, windows: list[_Window | None], real: str) -> list[Array | None]:
    """(n, 1) a source: what it weighs where no box is, nothing where it is seen through a window; None: nothing."""
    if region.background is None:
        own = xp.full((xp.shape(shows)[1],), 1.0, real)
        free = [own, *[None] * (region.sources - 1)]
    else:
        merged = rows.merge(xp, shows, xp.cast(region.background, real))
        free = [where(xp, merged[j] > SEEN, merged[j]) for j in range(region.sources)]
    for j, window in enumerate(windows):
        if free[j] is not None and window is not None:
            free[j] = where(xp, ~window.there[:, 0], free[j])
    return [None if weight is None else weight[:, None] for weight in free]


def sides_of(first: Edges, last: Edges) -> Edges:
    """How long boxes are along each axis."""
    return [b - a for a, b in zip(first, last, strict=True)]


def where(xp: Library, condition: Array, x: Array) -> Array:
    """X where it is so, else 0."""
    return xp.where(condition, x, xp.full((), 0.0, xp.dtype(x)))


def _across(sides: list[Array], axis: int) -> Array:
    """The product of the sides along the other axes."""
    return reduce(mul, [side for a, side in enumerate(sides) if a != axis], sides[0] * 0.0 + 1.0)


def _greatest(xp: Library, some: Array, x: Array) -> Array:
    """(n, m): the greatest of x (length,) where `some` (n, m, length); far below all where there is none."""
    return xp.highest(xp.where(some, x, xp.full((), -(2.0**30), xp.dtype(x))))[..., 0]


def number(xp: Library, length: Dim, real: str) -> Array:
    """A length as a float."""
    return xp.cast(xp.constant(length), real)
