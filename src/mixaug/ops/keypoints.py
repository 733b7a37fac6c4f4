"""Mix keypoints: the position of each point of each source in the output, and its visibility."""

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
from .objects import axes_order, normalize, real_dtype, slots_of, to_pixels
from .views import View, number, views_of, where


class KeypointsResult(NamedTuple):
    """The keypoints of all sources: those of source j start at slot j * m.

    Args:
        points: (n, k * m, ...), the position of each point; a visibility column is 0 for invisible points.
        weight: float32, the weight of the source at each point; 0 for invisible points.
    """

    points: Array
    weight: Array


# --- keypoints ---


def keypoints(
    xp: Library, x: Array, source: Array | None, index: Array, region: Region, sizes: Sizes, normalized: bool
) -> KeypointsResult:
    """Return the position of each point of each source, and the weight of the source there."""
    check_points(xp, x, sizes.source)
    rows.check(xp, x, source, index, "keypoints")
    return move_points(xp, x, source, index, sizes, normalized, views_of(xp, index, region, sizes, real_dtype(xp, x)))


def move_points(
    xp: Library, x: Array, source: Array | None, index: Array, sizes: Sizes, normalized: bool, views: list[View]
) -> KeypointsResult:
    """Move the keypoints of all sources like their pixels; invisible points have weight 0."""
    sources = rows.gather(xp, x, source, index)
    moved = [_point(xp, points, view, sizes, normalized) for points, view in zip(sources, views, strict=True)]
    points, weight = (slots_of(xp, list(parts)) for parts in zip(*moved, strict=True))
    return KeypointsResult(xp.cast(points, x.dtype if xp.dtype(x) in FLOATS else xp.dtype(points)), weight)


def _point(xp: Library, x: Array, view: View, sizes: Sizes, normalized: bool) -> tuple[Array, Array]:
    """Move the points of one source and return their weights; padding remains unchanged."""
    axes, shape, real = len(sizes.output), xp.shape(x), real_dtype(xp, x)
    x = xp.cast(xp.reshape(x, (shape[0], prod(shape[1:-1]), shape[-1])), real)
    lengths, out_lengths = ([number(xp, length, real) for length in size] for size in (sizes.source, sizes.output))
    scale, out_scale = ([length if normalized else None for length in size] for size in (lengths, out_lengths))
    order = axes_order("xyxy", axes)
    source_position = to_pixels([x[..., a] for a in order], scale)
    is_point = reduce(and_, [(v >= 0) & (v < length) for v, length in zip(source_position, lengths, strict=True)])
    if shape[-1] > axes:
        is_point = is_point & (x[..., axes] > 0)
    position = view.through(source_position)
    weight = where(xp, is_point, view.at(xp, position, sizes.output))
    moved = [xp.where(is_point, normalize(position, out_scale)[a], x[..., order[a]]) for a in order]
    if shape[-1] > axes:
        moved.append(where(xp, weight > 0, x[..., axes]))
    return xp.reshape(xp.stack(moved, axis=-1), shape), xp.reshape(xp.cast(weight, "float32"), shape[:-1])
