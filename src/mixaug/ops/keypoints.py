"""Keypoints: where each point of each source lies in the output, and whether it is visible."""

from __future__ import annotations

from functools import reduce
from math import prod
from operator import and_
from typing import NamedTuple

from ..backends import Array, Library
from ..core.regions import Region, Sizes
from . import rows
from .check_objects import check_points
from .labels import FLOATS
from .objects import axes_order, in_parts, in_pixels, real_dtype, slots_of
from .views import View, number, views_of, where


class KeypointsResult(NamedTuple):
    """The keypoints of all sources, those of source j in the slots from j * m on.

    Args:
        points: (n, k * m, ...), where each point has come to; a column of visibility is 0 for those not to be seen.
        weight: float32, the weight that its source has at each point; 0 where it is not to be seen.
    """

    points: Array
    weight: Array


# --- keypoints ---


def keypoints(
    xp: Library, x: Array, source: Array | None, index: Array, region: Region, sizes: Sizes, normalized: bool
) -> KeypointsResult:
    """Where each point of each source has come to, and the weight that its source has there."""
    check_points(xp, x, sizes.source)
    rows.check(xp, x, source, index, "keypoints")
    return move_points(xp, x, source, index, sizes, normalized, views_of(xp, index, region, sizes, real_dtype(xp, x)))


def move_points(
    xp: Library, x: Array, source: Array | None, index: Array, sizes: Sizes, normalized: bool, views: list[View]
) -> KeypointsResult:
    """Move the keypoints of all sources as their pixels are moved; those that are not visible weigh 0."""
    sources = rows.gather(xp, x, source, index)
    moved = [_point(xp, one, view, sizes, normalized) for one, view in zip(sources, views, strict=True)]
    points, weight = (slots_of(xp, list(parts)) for parts in zip(*moved, strict=True))
    return KeypointsResult(xp.cast(points, x.dtype if xp.dtype(x) in FLOATS else xp.dtype(points)), weight)


def _point(xp: Library, x: Array, view: View, sizes: Sizes, normalized: bool) -> tuple[Array, Array]:
    """One source's points and their weights. What is no point stays where it is: a window moves no padding."""
    axes, shape, real = len(sizes.output), xp.shape(x), real_dtype(xp, x)
    x = xp.cast(xp.reshape(x, (shape[0], prod(shape[1:-1]), shape[-1])), real)
    lengths, made = ([number(xp, length, real) for length in size] for size in (sizes.source, sizes.output))
    parts_of, parts_made = ([length if normalized else None for length in one] for one in (lengths, made))
    order = axes_order("xyxy", axes)
    here = in_pixels([x[..., a] for a in order], parts_of)
    is_point = reduce(and_, [(v >= 0) & (v < length) for v, length in zip(here, lengths, strict=True)])
    if shape[-1] > axes:
        is_point = is_point & (x[..., axes] > 0)
    place = view.through(here)
    weight = where(xp, is_point, view.at(xp, place, sizes.output))
    moved = [xp.where(is_point, in_parts(place, parts_made)[a], x[..., order[a]]) for a in order]
    if shape[-1] > axes:
        moved.append(where(xp, weight > 0, x[..., axes]))
    return xp.reshape(xp.stack(moved, axis=-1), shape), xp.reshape(xp.cast(weight, "float32"), shape[:-1])
