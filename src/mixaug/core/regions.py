"""How the pixels of an output are combined: `Paste`, the cheap form, and `Dense`, the definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from operator import or_
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array, Dim, Library

Size: TypeAlias = tuple[Dim, ...]
BY_SOURCE = (
    "index",
    "lam",
    "background",
    "weight",
)  #: arrays whose first axis are the sources, and whose second the outputs


@dataclass(frozen=True, eq=False)
class Paste:
    """A blend of whole sources, and per output and source at most one box pasted over it.

        output = where(inside(box[j]), index[j], sum_k background[k] * index[k]), and fill inside the holes

    Args:
        background: float32 (k, n), each column summing to 1; None: the base sample alone.
        box: for each of the k sources int32 (n, d, 2), the first and the one-past-last pixel along each of the d
            spatial axes, or None where no output has a box of that source. The boxes of one output are disjoint.
        source_box: for each of the k sources int32 (n, d, 2), the part of the source that its box shows, made to fit
            it, or None where it is the same place.
        hole: int32 (n, d, 2), a box where no source is seen, or (n, h, d, 2) for h such boxes; None for no hole. Holes
            may overlap one another, but not the boxes.
        fill: float32 (n,) or (n, *size), what is in the holes instead; or (n, *size, c), a number for each channel,
            where the lengths of size may be 1.
    """

    background: Array | None
    box: tuple[Array | None, ...]
    source_box: tuple[Array | None, ...] = ()
    hole: Array | None = None
    fill: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "source_box", self.source_box or (None,) * len(self.box))
        _check_views(self.box, self.source_box)
        if self.hole is not None and self.fill is None:
            raise ValueError("fill: expected what is in the holes, got none; pass zeros (n,) for black")

    @property
    def sources(self) -> int:
        """k, the number of sources an output can have."""
        return len(self.box)

    @property
    def holes(self) -> tuple[Array, ...]:
        """The holes, int32 (n, d, 2) each."""
        if self.hole is None:
            return ()
        return (self.hole,) if len(self.hole.shape) == 3 else tuple(self.hole[:, h] for h in range(self.hole.shape[1]))

    def lam(self, xp: Library, n: Dim, size: Size) -> Array:
        """float32 (k, n): the area of each source's box, and of what the boxes leave free its background weight.

        Areas are parts of the pixels that no hole covers.
        """
        if self.sources == 1:
            return _with_rest(xp, [], n)
        seen = self._seen(xp, size)
        if kernels := xp.draw_kernels():
            return self._share(kernels, seen, n, size)
        pixels = _pixels(xp, size) if seen is None else seen
        boxes = [None if box is None else _over(xp, _area(xp, box), pixels) for box in self.box]
        taken = [area for area in boxes if area is not None]
        if len(taken) > 1:  # whole numbers of 2^-24, rounded down: their sums are exact and leave the rest at least 0
            boxes = [None if area is None else xp.floor(area * 2.0**24) * 2.0**-24 for area in boxes]
            taken = [area for area in boxes if area is not None]
        free = 1.0 - sum(taken[1:], taken[0]) if taken else None
        others = []
        for j in range(1, self.sources):
            blended = None if self.background is None else self.background[j]
            if blended is not None and free is not None:
                blended = blended * free
            terms = [term for term in (blended, boxes[j]) if term is not None]
            others.append(sum(terms[1:], terms[0]) if terms else xp.full((n,), 0.0, "float32"))
        return _with_rest(xp, others, n)

    def _seen(self, xp: Library, size: Size) -> Array | None:
        """float32 (n,): how many pixels no hole covers, at least 1; None without holes."""
        if not (holes := self.holes):
            return None
        axes = tuple(range(1, 1 + len(size)))
        hidden = _area(xp, holes[0]) if len(holes) == 1 else xp.total(covered(xp, holes, size), axes)
        return xp.maximum(_pixels(xp, size) - hidden, 1.0)

    def _share(self, kernels: Any, seen: Array | None, n: int, size: Size) -> Array:
        held = {j: box for j, box in enumerate(self.box) if box is not None}
        boxes = stacked([*held.values()], n, len(size))
        background = np.zeros((0, 0), np.float32) if self.background is None else self.background
        seen = np.full(n, prod(size), np.float32) if seen is None else seen
        return kernels.lams(background, boxes, np.array([*held], np.int64), seen, self.sources)

    def pixel_weights(self, xp: Library, n: Dim, size: Size) -> Array:
        """(k, n, *size): the weight of each source at each pixel; bool where nothing is blended, else float32."""
        shape = (n, *size)
        if self.background is None:
            weights = [xp.full(shape, j == 0, "bool") for j in range(self.sources)]
        else:
            pad = (slice(None), *[None] * len(size))
            weights = [xp.broadcast(self.background[j][pad], shape) for j in range(self.sources)]
        for j, box in enumerate((*self.box, *self.holes)):
            if box is not None:
                mask = inside(xp, box, size)
                for i, weight in enumerate(weights):
                    weights[i] = xp.where(mask, xp.cast(xp.full((), i == j, "bool"), xp.dtype(weight)), weight)
        return xp.stack(weights)

    def padded(self, xp: Library, sources: int) -> Paste:
        """The same region with room for more sources, which no pixel comes from."""
        background = None if self.background is None else padded_rows(xp, self.background, sources)
        room = (None,) * (sources - self.sources)
        return replace(self, background=background, box=self.box + room, source_box=self.source_box + room)

    def arrays(self) -> dict[str, Array]:
        """The arrays that it holds, by name."""
        named = {
            "background": self.background,
            **_numbered("box", self.box),
            **_numbered("source_box", self.source_box),
        }
        named |= {"hole": self.hole, "fill": self.fill}
        return {name: array for name, array in named.items() if array is not None}

    @classmethod
    def of(cls, arrays: Mapping[str, Array], sources: int) -> Paste:
        """The region of so many sources that holds these arrays."""
        return cls(arrays.get("background"), *_lists(arrays, sources), arrays.get("hole"), arrays.get("fill"))


@dataclass(frozen=True, eq=False)
class Dense:
    """A weight per source and pixel.

        output = sum_k weight[k] * index[k], and fill where all weights are 0

    Args:
        weight: (k, n, *size) float32 in [0, 1] summing to 1 over k, or bool where each pixel has one source. Where no
            source is to be seen all are 0.
        box, source_box: for each of the k sources None, or int32 (n, d, 2): it is seen through a box that shows that
            part of it, as in `Paste`, and has no weight outside of it; where the two are the same it is seen as it is.
        fill: what is seen where no source is, as in `Paste`; None if there is no such pixel.
    """

    weight: Array
    box: tuple[Array | None, ...] = ()
    source_box: tuple[Array | None, ...] = ()
    fill: Array | None = None

    def __post_init__(self) -> None:
        if not self.box:
            object.__setattr__(self, "box", (None,) * self.sources)
            object.__setattr__(self, "source_box", self.source_box or (None,) * self.sources)
        _check_views(self.box, self.source_box)

    @property
    def sources(self) -> int:
        """k, the number of sources an output can have."""
        return int(self.weight.shape[0])

    def lam(self, xp: Library, n: Dim, size: Size) -> Array:
        """float32 (k, n): the mean over the pixels that are no hole of each source's weight."""
        axes = tuple(range(1, 1 + len(size)))
        pixels = _pixels(xp, size)
        if self.fill is not None:
            pixels = xp.maximum(xp.total(self.seen(xp), axes), 1.0)
        sums = [xp.total(self.weight[j], axes) for j in range(1, self.sources)]
        return _with_rest(xp, [_over(xp, weight, pixels) for weight in sums], n)

    def seen(self, xp: Library) -> Array:
        """Bool (n, *size): the pixels where a source is to be seen."""
        seen = [self.weight[j] if xp.dtype(self.weight) == "bool" else self.weight[j] > 0 for j in range(self.sources)]
        return reduce(or_, seen)

    def pixel_weights(self, xp: Library, n: Dim, size: Size) -> Array:  # noqa: ARG002 - the same signature as Paste.dense
        """(k, n, *size): the weights themselves."""
        return self.weight

    def padded(self, xp: Library, sources: int) -> Dense:
        """The same region with room for more sources, which no pixel comes from."""
        room = (None,) * (sources - self.sources)
        return Dense(padded_rows(xp, self.weight, sources), self.box + room, self.source_box + room, self.fill)

    def arrays(self) -> dict[str, Array]:
        """The arrays that it holds, by name."""
        named = {
            "weight": self.weight,
            **_numbered("box", self.box),
            **_numbered("source_box", self.source_box),
            "fill": self.fill,
        }
        return {name: array for name, array in named.items() if array is not None}

    @classmethod
    def of(cls, arrays: Mapping[str, Array], sources: int) -> Dense:
        """The region of so many sources that holds these arrays."""
        return cls(arrays["weight"], *_lists(arrays, sources), arrays.get("fill"))


Region: TypeAlias = Paste | Dense


class Sizes(NamedTuple):
    """The spatial size of outputs, and that of the sources."""

    output: Size
    source: Size


def to(xp: Library, region: Region) -> Region:
    """The same region in another library, of one that lies on the host."""
    held = region.arrays()
    if all(backends.find(array) == xp for array in held.values()):
        return region
    return type(region).of(dict(zip(held, backends.to_each(xp, [*held.values()]), strict=True)), region.sources)


def is_of_pixels(fill: Array, axes: int) -> bool:
    """Whether each pixel of so many spatial axes has a fill of its own."""
    return len(fill.shape) == 1 + axes or any(length != 1 for length in fill.shape[1:-1])


def is_of_channels(fill: Array | None, axes: int) -> bool:
    """Whether each channel has a fill of its own."""
    return fill is not None and len(fill.shape) == 2 + axes


def _check_views(box: Sequence[Array | None], source_box: Sequence[Array | None]) -> None:
    """Refuse source boxes without the boxes that they are seen through."""
    if len(box) != len(source_box):
        raise ValueError(f"source_box: expected one for each of {len(box)} boxes, or None, got {len(source_box)}")
    for j, (to, of) in enumerate(zip(box, source_box, strict=True)):
        if to is None and of is not None:
            raise ValueError(f"box: expected one for the source box of source {j}, got None; say where it is seen")


def inside(xp: Library, box: Array, size: Size) -> Array:
    """Bool (n, *size): the pixels of an image of that size that lie in each box of int32 (n, d, 2)."""
    mask = None
    for axis, length in enumerate(size):
        at = xp.arange(length)[None, :]
        along = (at >= box[:, axis, :1]) & (at < box[:, axis, 1:])
        along = along[(slice(None), *[slice(None) if a == axis else None for a in range(len(size))])]
        mask = along if mask is None else mask & along
    return mask


def covered(xp: Library, boxes: Sequence[Array], size: Size) -> Array:
    """Bool (n, *size): the pixels of an image of that size that lie in any of these boxes."""
    return reduce(or_, [inside(xp, box, size) for box in boxes])


def whole(xp: Library, n: Dim, size: Size) -> Array:
    """int32 (n, d, 2): the box that is the image."""
    ends = [xp.stack([xp.full((n,), 0, "int32"), xp.full((n,), length, "int32")], axis=1) for length in size]
    return xp.stack(ends, axis=1)


def stacked(boxes: Sequence[Any], n: int, axes: int) -> Any:
    """NumPy's boxes as one int32 (boxes, n, axes, 2), as kernels take them; a single one is not copied."""
    if not boxes:
        return np.zeros((0, n, axes, 2), np.int32)
    return boxes[0][None] if len(boxes) == 1 else np.stack(boxes)


def _numbered(name: str, options: Sequence[Array | None]) -> dict[str, Array | None]:
    return {f"{name}_{j}": option for j, option in enumerate(options)}


def _lists(arrays: Mapping[str, Array], sources: int) -> tuple[tuple[Array | None, ...], tuple[Array | None, ...]]:
    box, source_box = (tuple(arrays.get(f"{name}_{j}") for j in range(sources)) for name in ("box", "source_box"))
    return box, source_box


def _pixels(xp: Library, size: Size) -> Array:
    if all(isinstance(length, int) for length in size):
        return xp.constant(float(prod(size)))
    return xp.cast(prod(size), "float32")


def padded_rows(xp: Library, weight: Array, sources: int) -> Array:
    """Weights (k, n, ...) with rows of zeros up to `sources`."""
    rows = [weight[j] for j in range(weight.shape[0])]
    zero = xp.full(xp.shape(rows[0]), 0, xp.dtype(weight))
    return xp.stack(rows + [zero] * (sources - len(rows)))


def _area(xp: Library, box: Array) -> Array:
    """float32 (n,): how many pixels each box has."""
    sides = [box[:, axis, 1] - box[:, axis, 0] for axis in range(box.shape[1])]
    return xp.cast(prod(sides[1:], start=sides[0]), "float32")


def _over(xp: Library, part: Array, total: Array) -> Array:
    """Part / total, correctly rounded: no compiler may know the divisor, or it multiplies by a reciprocal instead."""
    return xp.ratio(part, xp.maximum(part, xp.cast(total, "float32")))


def _with_rest(xp: Library, others: Sequence[Array], n: Dim) -> Array:
    """Shares of sources 1.. with, first, that of the base sample: what the others leave, so a column sums to 1."""
    rest = xp.full((n,), 1.0, "float32")
    for other in others:
        rest = rest - other
    return xp.stack([rest, *others])
