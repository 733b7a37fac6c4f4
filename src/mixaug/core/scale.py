"""Fields of another size than the image: the nearest image pixel of each pixel of a field.

Pixel j of h corresponds to the image pixel floor((j + 1/2) * H / h), along each axis.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from .. import backends
from ..backends import Array, Dim, Library
from .regions import Dense, Region, Size, is_of_pixels


def same(one: Size, other: Size) -> bool:
    """Whether two sizes are known to be equal."""
    return len(one) == len(other) and all(
        a is b or (isinstance(a, int) and isinstance(b, int) and a == b) for a, b in zip(one, other, strict=True)
    )


def nearest(xp: Library, length: Dim, of: Dim) -> Array:
    """Return the nearest of `of` pixels for each of `length` pixels along an axis, int64 (length,)."""
    if isinstance(length, int) and isinstance(of, int):
        return xp.cast(xp.table(_nearest(length, of)), "int64")
    length, of = xp.cast(length, "int64"), xp.cast(of, "int64")
    return (2 * xp.cast(xp.arange(length), "int64") + 1) * of // (2 * length)


def scaled(xp: Library, region: Region, drawn_for: Size, size: Size) -> Region:
    """Resize a region to a field of another size; source boxes remain in pixels of the image."""
    if same(drawn_for, size):
        return region
    fill = region.fill
    if fill is not None and is_of_pixels(fill, len(size)):
        fill = _resampled(xp, fill, 1, drawn_for, size)
    if isinstance(region, Dense):
        return replace(region, weight=_resampled(xp, region.weight, 2, drawn_for, size), fill=fill)
    edges = [_edges(xp, length, of) for length, of in zip(size, drawn_for, strict=True)]
    box = tuple(None if box is None else _box(xp, box, edges) for box in region.box)
    hole = None if region.hole is None else _box(xp, region.hole, edges)
    return replace(region, box=box, hole=hole, fill=fill)


def _resampled(xp: Library, x: Array, first: int, drawn_for: Size, size: Size) -> Array:
    """Resize by nearest neighbour; the spatial axes start at `first`."""
    for axis, (length, of) in enumerate(zip(size, drawn_for, strict=True), first):
        x = xp.take(x, nearest(xp, length, of), axis)
    return x


def _box(xp: Library, box: Array, edges: list[Array]) -> Array:
    return xp.stack([xp.take(edge, box[..., axis, :]) for axis, edge in enumerate(edges)], axis=-2)


def _edges(xp: Library, length: Dim, of: Dim) -> Array:
    """Map each edge among `of` pixels to an edge among `length` pixels, int32 (of + 1,)."""
    if isinstance(length, int) and isinstance(of, int):
        return xp.cast(xp.table(_mapped_edges(length, of)), "int32")
    length, of = xp.cast(length, "int64"), xp.cast(of, "int64")
    return xp.cast(-((of - 2 * length * xp.cast(xp.arange(of + 1), "int64")) // (2 * of)), "int32")


@backends.trace_constant
@lru_cache(maxsize=256)
def _nearest(length: int, of: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return (2 * np.arange(length, dtype=np.int64) + 1) * of // (2 * length)


@backends.trace_constant
@lru_cache(maxsize=256)
def _mapped_edges(length: int, of: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return -((of - 2 * length * np.arange(of + 1, dtype=np.int64)) // (2 * of))
