"""How the pixels of an output are combined: `Paste`, for boxes, and `Dense`, for a weight at each pixel."""

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
BY_SOURCE = ("index", "lam", "background", "weight")  #: arrays (k, n, ...); all others are (n, ...)


@dataclass(frozen=True, eq=False)
class Paste:
    """A blend of whole sources, with at most one box per output and source pasted over it.

        output = where(inside(box[j]), index[j], sum_k background[k] * index[k]), and fill inside the holes

    Args:
        background: float32 (k, n), each column summing to 1; None for the base sample alone.
        box: for each of the k sources int32 (n, d, 2), the first and the one-past-last pixel along each of the d
            spatial axes; None if no output has a box of that source. The boxes of one output are disjoint.
        source_box: for each of the k sources int32 (n, d, 2), the part of the source that is resized to fit its box;
            None if it is the box itself.
        hole: int32 (n, d, 2), a box in which no source is visible, or (n, h, d, 2) for h such boxes; None for no hole.
            Holes may overlap each other, but not the boxes.
        fill: float32 (n,) or (n, *size), the value of the pixels in the holes; or (n, *size, c), a value for each
            channel, where the lengths of size may be 1.
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
            raise ValueError("fill: expected the values inside the holes, got None; pass zeros (n,) for black")

    @property
    def sources(self) -> int:
        """k, the number of sources of an output."""
        return len(self.box)

    @property
    def holes(self) -> tuple[Array, ...]:
        """The holes, each int32 (n, d, 2)."""
        if self.hole is None:
            return ()
        return (self.hole,) if len(self.hole.shape) == 3 else tuple(self.hole[:, h] for h in range(self.hole.shape[1]))

    def lam(self, xp: Library, n: Dim, size: Size) -> Array:
        """Return the area of each source's box plus its background weight times the area outside all boxes.

        The result is float32 (k, n); areas are fractions of the pixels outside the holes.
        """
        if self.sources == 1:
            return _with_base(xp, [], n)
        visible = self._visible(xp, size)
        if kernels := xp.draw_kernels():
            return self._lam_by_kernel(kernels, visible, n, size)
        pixels = _pixels(xp, size) if visible is None else visible
        areas = [None if box is None else _ratio(xp, _area(xp, box), pixels) for box in self.box]
        pasted = [area for area in areas if area is not None]
        if len(pasted) > 1:  # rounded down to multiples of 2^-24: sums are exact, and what remains is at least 0
            areas = [None if area is None else xp.floor(area * 2.0**24) * 2.0**-24 for area in areas]
            pasted = [area for area in areas if area is not None]
        free = 1.0 - sum(pasted[1:], pasted[0]) if pasted else None
        partners = []
        for j in range(1, self.sources):
            blended = None if self.background is None else self.background[j]
            if blended is not None and free is not None:
                blended = blended * free
            terms = [term for term in (blended, areas[j]) if term is not None]
            partners.append(sum(terms[1:], terms[0]) if terms else xp.full((n,), 0.0, "float32"))
        return _with_base(xp, partners, n)

    def _visible(self, xp: Library, size: Size) -> Array | None:
        """Return the number of pixels outside the holes, at least 1, float32 (n,); None without holes."""
        if not (holes := self.holes):
            return None
        axes = tuple(range(1, 1 + len(size)))
        hidden = _area(xp, holes[0]) if len(holes) == 1 else xp.total(covered(xp, holes, size), axes)
        return xp.maximum(_pixels(xp, size) - hidden, 1.0)

    def _lam_by_kernel(self, kernels: Any, visible: Array | None, n: int, size: Size) -> Array:
        boxes = {j: box for j, box in enumerate(self.box) if box is not None}
        box = stacked([*boxes.values()], n, len(size))
        background = np.zeros((0, 0), np.float32) if self.background is None else self.background
        visible = np.full(n, prod(size), np.float32) if visible is None else visible
        return kernels.lams(background, box, np.array([*boxes], np.int64), visible, self.sources)

    def pixel_weights(self, xp: Library, n: Dim, size: Size) -> Array:
        """Return the weight of each source at each pixel, (k, n, *size); bool without a background, else float32."""
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
        """Return the region with more sources, which contribute no pixels."""
        background = None if self.background is None else padded_rows(xp, self.background, sources)
        padding = (None,) * (sources - self.sources)
        return replace(self, background=background, box=self.box + padding, source_box=self.source_box + padding)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of the region by name."""
        fields = {
            "background": self.background,
            **_numbered("box", self.box),
            **_numbered("source_box", self.source_box),
        }
        fields |= {"hole": self.hole, "fill": self.fill}
        return {name: array for name, array in fields.items() if array is not None}

    @classmethod
    def of(cls, arrays: Mapping[str, Array], sources: int) -> Paste:
        """Make the region from what `arrays` returned."""
        return cls(arrays.get("background"), *_lists(arrays, sources), arrays.get("hole"), arrays.get("fill"))


@dataclass(frozen=True, eq=False)
class Dense:
    """A weight for each source at each pixel.

        output = sum_k weight[k] * index[k], and fill where all weights are 0

    Args:
        weight: (k, n, *size), float32 in [0, 1] summing to 1 over k, or bool if each pixel has one source. All are 0
            where no source is visible.
        box, source_box: for each of the k sources None, or int32 (n, d, 2): the source box is resized to fit the box,
            as in `Paste`, and the weight is 0 outside it. Where both are equal, the source is used unchanged.
        fill: the value of the pixels where no source is visible, as in `Paste`; None if there are none.
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
        """k, the number of sources of an output."""
        return int(self.weight.shape[0])

    def lam(self, xp: Library, n: Dim, size: Size) -> Array:
        """Return the mean weight of each source over the pixels with a visible source, float32 (k, n)."""
        axes = tuple(range(1, 1 + len(size)))
        pixels = _pixels(xp, size)
        if self.fill is not None:
            pixels = xp.maximum(xp.total(self.visible(xp), axes), 1.0)
        sums = [xp.total(self.weight[j], axes) for j in range(1, self.sources)]
        return _with_base(xp, [_ratio(xp, weight, pixels) for weight in sums], n)

    def visible(self, xp: Library) -> Array:
        """Return the pixels where a source is visible, bool (n, *size)."""
        binary = xp.dtype(self.weight) == "bool"
        return reduce(or_, [self.weight[j] if binary else self.weight[j] > 0 for j in range(self.sources)])

    def pixel_weights(self, xp: Library, n: Dim, size: Size) -> Array:  # noqa: ARG002 - the signature of Paste's
        """Return the weights, (k, n, *size)."""
        return self.weight

    def padded(self, xp: Library, sources: int) -> Dense:
        """Return the region with more sources, which contribute no pixels."""
        padding = (None,) * (sources - self.sources)
        return Dense(padded_rows(xp, self.weight, sources), self.box + padding, self.source_box + padding, self.fill)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of the region by name."""
        fields = {
            "weight": self.weight,
            **_numbered("box", self.box),
            **_numbered("source_box", self.source_box),
            "fill": self.fill,
        }
        return {name: array for name, array in fields.items() if array is not None}

    @classmethod
    def of(cls, arrays: Mapping[str, Array], sources: int) -> Dense:
        """Make the region from what `arrays` returned."""
        return cls(arrays["weight"], *_lists(arrays, sources), arrays.get("fill"))


Region: TypeAlias = Paste | Dense


class Sizes(NamedTuple):
    """The spatial sizes of outputs and of sources."""

    output: Size
    source: Size


def to(xp: Library, region: Region) -> Region:
    """Convert a region on the host to a library."""
    arrays = region.arrays()
    if all(backends.find(array) == xp for array in arrays.values()):
        return region
    converted = backends.to_each(xp, [*arrays.values()])
    return type(region).of(dict(zip(arrays, converted, strict=True)), region.sources)


def is_of_pixels(fill: Array, axes: int) -> bool:
    """Whether a fill has a value for each pixel; `axes` is the number of spatial axes."""
    return len(fill.shape) == 1 + axes or any(length != 1 for length in fill.shape[1:-1])


def is_of_channels(fill: Array | None, axes: int) -> bool:
    """Whether a fill has a value for each channel; `axes` is the number of spatial axes."""
    return fill is not None and len(fill.shape) == 2 + axes


def _check_views(box: Sequence[Array | None], source_box: Sequence[Array | None]) -> None:
    """Refuse source boxes without boxes."""
    if len(box) != len(source_box):
        raise ValueError(f"source_box: expected one for each of {len(box)} boxes, or None, got {len(source_box)}")
    for j, (to, of) in enumerate(zip(box, source_box, strict=True)):
        if to is None and of is not None:
            raise ValueError(
                f"box: expected one for the source box of source {j}, got None; pass the box that shows it"
            )


def inside(xp: Library, box: Array, size: Size) -> Array:
    """Return the pixels inside each box of int32 (n, d, 2), bool (n, *size)."""
    mask = None
    for axis, length in enumerate(size):
        position = xp.arange(length)[None, :]
        along = (position >= box[:, axis, :1]) & (position < box[:, axis, 1:])
        along = along[(slice(None), *[slice(None) if a == axis else None for a in range(len(size))])]
        mask = along if mask is None else mask & along
    return mask


def covered(xp: Library, boxes: Sequence[Array], size: Size) -> Array:
    """Return the pixels inside any of the boxes, bool (n, *size)."""
    return reduce(or_, [inside(xp, box, size) for box in boxes])


def whole(xp: Library, n: Dim, size: Size) -> Array:
    """Return the box of the whole image, int32 (n, d, 2)."""
    ends = [xp.stack([xp.full((n,), 0, "int32"), xp.full((n,), length, "int32")], axis=1) for length in size]
    return xp.stack(ends, axis=1)


def stacked(boxes: Sequence[Any], n: int, axes: int) -> Any:
    """Stack NumPy boxes to int32 (boxes, n, axes, 2) for the kernels; a single box is not copied."""
    if not boxes:
        return np.zeros((0, n, axes, 2), np.int32)
    return boxes[0][None] if len(boxes) == 1 else np.stack(boxes)


def _numbered(name: str, arrays: Sequence[Array | None]) -> dict[str, Array | None]:
    return {f"{name}_{j}": array for j, array in enumerate(arrays)}


def _lists(arrays: Mapping[str, Array], sources: int) -> tuple[tuple[Array | None, ...], tuple[Array | None, ...]]:
    box, source_box = (tuple(arrays.get(f"{name}_{j}") for j in range(sources)) for name in ("box", "source_box"))
    return box, source_box


def _pixels(xp: Library, size: Size) -> Array:
    if all(isinstance(length, int) for length in size):
        return xp.constant(float(prod(size)))
    return xp.cast(prod(size), "float32")


def padded_rows(xp: Library, weight: Array, sources: int) -> Array:
    """Pad weights (k, n, ...) with zeros to (sources, n, ...)."""
    rows = [weight[j] for j in range(weight.shape[0])]
    zero = xp.full(xp.shape(rows[0]), 0, xp.dtype(weight))
    return xp.stack(rows + [zero] * (sources - len(rows)))


def _area(xp: Library, box: Array) -> Array:
    """Return the number of pixels in each box, float32 (n,)."""
    sides = [box[:, axis, 1] - box[:, axis, 0] for axis in range(box.shape[1])]
    return xp.cast(prod(sides[1:], start=sides[0]), "float32")


def _ratio(xp: Library, part: Array, total: Array) -> Array:
    """Divide, correctly rounded: a divisor that is a constant would be compiled to a product with its reciprocal."""
    return xp.ratio(part, xp.maximum(part, xp.cast(total, "float32")))


def _with_base(xp: Library, partners: Sequence[Array], n: Dim) -> Array:
    """Prepend lam of the base sample, 1 minus the sum of the others, to lam of the partners."""
    base = xp.full((n,), 1.0, "float32")
    for lam in partners:
        base = base - lam
    return xp.stack([base, *partners])
