"""Mix bounding boxes of objects: each is clipped to its visible part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import and_, mul
from typing import Any, NamedTuple

import numpy as np

from ..backends import Array, Library
from ..core.regions import Region, Sizes
from . import rows
from .check_objects import check_boxes, check_data, check_format, check_limits, check_lists
from .instances import gather_labels
from .labels import FLOATS
from .objects import (
    ObjectData,
    ObjectLabels,
    ObjectLimits,
    Objects,
    axes_order,
    is_ragged,
    keep_visible,
    labels_by_name,
    like_labels,
    normalize,
    positive,
    real_dtype,
    slots_of,
    to_pixels,
    visible_weight,
)
from .views import Edges, View, number, sides_of, views_of, where


class BoxesResult(NamedTuple):
    """The boxes of all sources: those of source j start at slot j * m, or the heaviest come first.

    Args:
        boxes: (n, k * m, 2 * d), the bounding box of the visible part of each; -1 in empty slots.
        labels: the labels in the same slots; in empty slots -1, or 0 for labels with more axes or dtypes without -1.
            None without labels.
        weight: float32 (n, k * m), the mean weight of the source over the area of the box; 0 in empty slots.
    """

    boxes: Objects
    labels: ObjectLabels
    weight: Objects

    @property
    def valid(self) -> Any:
        """Bool (n, k * m), True for slots that hold a box."""
        return positive(self.weight)


# --- boxes ---


def boxes(
    xp: Library,
    x: Objects,
    data: ObjectData,
    index: Array,
    region: Region,
    sizes: Sizes,
    format: str,  # noqa: A002 - the name that other libraries use
    normalized: bool,
    keep: ObjectLimits,
) -> BoxesResult:
    """Return the bounding box of the visible part of each box of each source, and its weight."""
    check_format(format)
    check_limits(keep, "boxes")
    if is_ragged(x):
        return _boxes_of_lists(xp, x, data, index, region, sizes, format, normalized, keep)
    check_boxes(xp, x, sizes.source)
    check_data(xp, "boxes", x, data, index, sizes.source)
    real = real_dtype(xp, x)
    out_lengths, lengths = ([number(xp, length, real) for length in size] for size in sizes)
    formats = [(format, [length if normalized else None for length in size]) for size in (lengths, out_lengths)]
    views = views_of(xp, index, region, sizes, real)
    valids = [None] * len(views) if data.valid is None else rows.gather(xp, data.valid, data.valid_source, index)
    sources = rows.gather(xp, x, data.source, index)
    visible = [
        _box(xp, xp.cast(source, real), valid, view, lengths, formats, keep.min_visibility)
        for source, valid, view in zip(sources, valids, views, strict=True)
    ]
    mixed, weight = (slots_of(xp, list(parts)) for parts in zip(*visible, strict=True))
    mixed = xp.cast(mixed, x.dtype if xp.dtype(x) in FLOATS else real)
    slots = {"": mixed, **gather_labels(xp, data, index, region, sizes, views, normalized)}
    (out, *labels), weight = keep_visible(xp, slots, weight, keep.most, {"": -1})
    return BoxesResult(out, like_labels(data.labels, labels), weight)


def _box(
    xp: Library,
    x: Array,
    valid: Array | None,
    view: View,
    lengths: list[Array],
    formats: list[tuple[str, list[Array | None]]],
    min_visibility: float,
) -> tuple[Array, Array]:
    """Return the visible part of the boxes of a source, (n, m, 2 * d), and its weight (n, m), 0 if it is dropped."""
    first, last, is_box = _clipped(xp, *_edges(x, *formats[0]), lengths, valid)
    first, last = view.through(first), view.through(last)
    area = reduce(mul, sides_of(first, last))
    first, last = view.within(first), view.within(last)
    weight = view.weight.integral(first, last) / xp.where(is_box & (area > 0), area, xp.full((), 1.0, xp.dtype(area)))
    first, last = view.weight.bounds(first, last)
    weight = visible_weight(xp, weight, is_box, view.weight.peak(), min_visibility)
    return _in_format(xp, first, last, *formats[1]), weight


def _clipped(
    xp: Library, first: Edges, last: Edges, lengths: list[Array], valid: Array | None
) -> tuple[Edges, Edges, Array]:
    """Clip boxes to their image and return which are valid; invalid ones become 0, so that none is NaN."""
    first = [xp.minimum(xp.maximum(edge, 0.0), length) for edge, length in zip(first, lengths, strict=True)]
    last = [xp.minimum(xp.maximum(edge, 0.0), length) for edge, length in zip(last, lengths, strict=True)]
    is_box = reduce(and_, [b > a for a, b in zip(first, last, strict=True)])
    if valid is not None:
        is_box = is_box & xp.cast(valid, "bool")
    first, last = ([where(xp, is_box, edge) for edge in edges] for edges in (first, last))
    return first, last, is_box


def _edges(x: Array, format: str, lengths: list[Array | None]) -> tuple[Edges, Edges]:  # noqa: A002
    """Return the first and last edges along each axis, in pixels, of boxes (n, m, 2 * d) in a format."""
    axes = len(lengths)
    start, end = (to_pixels([x[..., at + a] for a in axes_order(format, axes)], lengths) for at in (0, axes))
    if format == "cxcywh":
        start = [center - side * 0.5 for center, side in zip(start, end, strict=True)]
    return start, [a + b for a, b in zip(start, end, strict=True)] if format.endswith("wh") else end


def _in_format(xp: Library, first: Edges, last: Edges, format: str, lengths: list[Array | None]) -> Array:  # noqa: A002
    """Return boxes (n, m, 2 * d) in a format, from their edges."""
    sides = sides_of(first, last)
    if format == "cxcywh":
        first = [edge + side * 0.5 for edge, side in zip(first, sides, strict=True)]
    order = axes_order(format, len(lengths))
    columns = [
        normalize(edges, lengths)[a] for edges in (first, sides if format.endswith("wh") else last) for a in order
    ]
    return xp.stack(columns, axis=-1)


# --- lists of arrays, one for each sample ---


def _boxes_of_lists(
    xp: Library,
    x: list[Array],
    data: ObjectData,
    index: Array,
    region: Region,
    sizes: Sizes,
    format: str,  # noqa: A002
    normalized: bool,
    keep: ObjectLimits,
) -> BoxesResult:
    """Mix the padded boxes, then return a list of arrays without the empty slots."""
    check_lists(xp, x, data, index)
    if not x:
        return BoxesResult([], like_labels(data.labels, [[] for _ in labels_by_name(data.labels)]), [])
    most = max(sample.shape[0] for sample in [*x, *(data.source or [])])
    padded = ObjectData(*(_padded(xp, field, most) for field in data))
    out = boxes(xp, _padded(xp, x, most), padded, index, region, sizes, format, normalized, keep)
    slots = [xp.constant(np.flatnonzero(valid)) for valid in xp.concrete(out.valid)]

    def each(x: Array) -> list[Array]:
        return [xp.take(x[i], index) for i, index in enumerate(slots)]

    labels = [each(y) for y in labels_by_name(out.labels).values()]
    return BoxesResult(each(out.boxes), like_labels(data.labels, labels), each(out.weight))


def _padded(xp: Library, field: ObjectLabels, most: int) -> Any:
    """Pad lists of arrays (m_i, ...) with zeros, which are not valid boxes, to (n, most, ...)."""
    if field is None or isinstance(field, Mapping):
        return None if field is None else {name: _padded(xp, x, most) for name, x in field.items()}
    padding = [xp.full((most - x.shape[0], *x.shape[1:]), 0, xp.dtype(x)) for x in field]
    return xp.stack([xp.concat([x, zeros]) for x, zeros in zip(field, padding, strict=True)])
