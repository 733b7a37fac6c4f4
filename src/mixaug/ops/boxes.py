"""Boxes of objects: the rectangle around what is visible of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_, mul
from typing import Any, NamedTuple

import numpy as np

from ..backends import Array, Library
from ..core.regions import Region, Sizes
from . import rows
from .check_objects import check_beside, check_boxes, check_format, check_limits, check_lists
from .instances import gather_labels
from .labels import FLOATS
from .objects import (
    ObjectData,
    ObjectLabels,
    ObjectLimits,
    Objects,
    axes_order,
    in_parts,
    in_pixels,
    is_ragged,
    keep_visible,
    labels_by_name,
    like_labels,
    positive,
    real_dtype,
    slots_of,
    visible_weight,
)
from .views import Edges, View, number, sides_of, views_of, where


class BoxesResult(NamedTuple):
    """The boxes of all sources, those of source j in the slots from j * m on, or the heaviest of them first.

    Args:
        boxes: (n, k * m, 2 * d), the rectangle around what is to be seen of each; -1 in slots that are empty.
        labels: what was given with them, in the same slots; in empty ones -1, or 0 where a label has more axes or its
            dtype has no -1. None where nothing was given.
        weight: float32 (n, k * m), how much of each is to be seen: the mean over its area of its source's weight; 0 in
            slots that are empty.
    """

    boxes: Objects
    labels: ObjectLabels
    weight: Objects

    @property
    def valid(self) -> Any:
        """Bool (n, k * m): the slots that hold a box."""
        return positive(self.weight)


# --- boxes ---


def boxes(
    xp: Library,
    x: Objects,
    beside: ObjectData,
    index: Array,
    region: Region,
    sizes: Sizes,
    format: str,  # noqa: A002 - that is what it is called everywhere
    normalized: bool,
    keep: ObjectLimits,
) -> BoxesResult:
    """The rectangle around what is to be seen of each box of each source, and how much that is."""
    check_format(format)
    check_limits(keep, "boxes")
    if is_ragged(x):
        return _boxes_of_lists(xp, x, beside, index, region, sizes, format, normalized, keep)
    check_boxes(xp, x, sizes.source)
    check_beside(xp, "boxes", x, beside, index, sizes.source)
    real = real_dtype(xp, x)
    out_lengths, lengths = ([number(xp, length, real) for length in size] for size in sizes)
    forms = [(format, [length if normalized else None for length in one]) for one in (lengths, out_lengths)]
    views = views_of(xp, index, region, sizes, real)
    there = [None] * len(views) if beside.valid is None else rows.gather(xp, beside.valid, beside.valid_source, index)
    sources = rows.gather(xp, x, beside.source, index)
    parts_of_sources = [
        _box(xp, xp.cast(one, real), valid, view, lengths, forms, keep.min_visibility)
        for one, valid, view in zip(sources, there, views, strict=True)
    ]
    mixed, weight = (slots_of(xp, list(parts)) for parts in zip(*parts_of_sources, strict=True))
    mixed = xp.cast(mixed, x.dtype if xp.dtype(x) in FLOATS else real)
    slots = {"": mixed, **gather_labels(xp, beside, index, region, sizes, views, normalized)}
    (out, *held), weight = keep_visible(xp, slots, weight, keep.most, {"": -1})
    return BoxesResult(out, like_labels(beside.labels, held), weight)


def _box(
    xp: Library,
    x: Array,
    valid: Array | None,
    view: View,
    lengths: list[Array],
    forms: list[tuple[str, list[Array | None]]],
    min_visibility: float,
) -> tuple[Array, Array]:
    """Of one source's boxes (n, m, 2 * d) what is to be seen, and its weight (n, m); 0 for those that go."""
    first, last, is_box = _clipped(xp, *_edges(x, *forms[0]), lengths, valid)
    first, last = view.through(first), view.through(last)
    area = reduce(mul, sides_of(first, last))
    first, last = view.within(first), view.within(last)
    weight = view.seen.integral(first, last) / xp.where(is_box & (area > 0), area, xp.full((), 1.0, xp.dtype(area)))
    first, last = view.seen.bounds(first, last)
    return _written(xp, first, last, *forms[1]), visible_weight(xp, weight, is_box, view.seen.peak(), min_visibility)


def _clipped(
    xp: Library, first: Edges, last: Edges, lengths: list[Array], valid: Array | None
) -> tuple[Edges, Edges, Array]:
    """BoxesResult clipped to the image they come from, and which are boxes; the others have no area, nor NaN."""
    first = [xp.minimum(xp.maximum(edge, 0.0), length) for edge, length in zip(first, lengths, strict=True)]
    last = [xp.minimum(xp.maximum(edge, 0.0), length) for edge, length in zip(last, lengths, strict=True)]
    is_box = reduce(and_, [b > a for a, b in zip(first, last, strict=True)])
    if valid is not None:
        is_box = is_box & xp.cast(valid, "bool")
    first, last = ([where(xp, is_box, edge) for edge in edges] for edges in (first, last))
    return first, last, is_box


def _edges(x: Array, format: str, parts_of: list[Array | None]) -> tuple[Edges, Edges]:  # noqa: A002
    """The first and the last edge along each axis, in pixels, of boxes (n, m, 2 * d) of that format."""
    axes = len(parts_of)
    one, two = (in_pixels([x[..., at + a] for a in axes_order(format, axes)], parts_of) for at in (0, axes))
    if format == "cxcywh":
        one = [centre - side * 0.5 for centre, side in zip(one, two, strict=True)]
    return one, [a + b for a, b in zip(one, two, strict=True)] if format.endswith("wh") else two


def _written(xp: Library, first: Edges, last: Edges, format: str, parts_of: list[Array | None]) -> Array:  # noqa: A002
    """BoxesResult (n, m, 2 * d) of that format."""
    sides = sides_of(first, last)
    if format == "cxcywh":
        first = [edge + side * 0.5 for edge, side in zip(first, sides, strict=True)]
    order = axes_order(format, len(parts_of))
    columns = [
        in_parts(edges, parts_of)[a] for edges in (first, sides if format.endswith("wh") else last) for a in order
    ]
    return xp.stack(columns, axis=-1)


# --- lists of arrays, one a sample ---


def _boxes_of_lists(
    xp: Library,
    x: list[Array],
    beside: ObjectData,
    index: Array,
    region: Region,
    sizes: Sizes,
    format: str,  # noqa: A002
    normalized: bool,
    keep: ObjectLimits,
) -> BoxesResult:
    """The boxes of each output in an array of their own: those of the padded form, less its empty slots."""
    check_lists(xp, x, beside, index)
    if not x:
        return BoxesResult([], like_labels(beside.labels, [[] for _ in labels_by_name(beside.labels)]), [])
    most = max(one.shape[0] for one in [*x, *(beside.source or [])])
    padded = ObjectData(*(_padded(xp, given, most) for given in beside))
    out = boxes(xp, _padded(xp, x, most), padded, index, region, sizes, format, normalized, keep)
    slots = [xp.constant(np.flatnonzero(valid)) for valid in xp.concrete(out.valid)]

    def each(x: Array) -> list[Array]:
        return [xp.take(x[i], index) for i, index in enumerate(slots)]

    held = [each(y) for y in labels_by_name(out.labels).values()]
    return BoxesResult(each(out.boxes), like_labels(beside.labels, held), each(out.weight))


def _padded(xp: Library, given: ObjectLabels, most: int) -> Any:
    """Arrays (n, most, ...) of lists of arrays (m_i, ...); zeros, which are no box, where there is nothing."""
    if given is None or isinstance(given, Mapping):
        return None if given is None else {name: _padded(xp, x, most) for name, x in given.items()}
    rest = [xp.full((most - x.shape[0], *x.shape[1:]), 0, xp.dtype(x)) for x in given]
    return xp.stack([xp.concat([x, zeros]) for x, zeros in zip(given, rest, strict=True)])
