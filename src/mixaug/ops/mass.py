"""The fraction of each source's saliency that is visible in an output."""

from __future__ import annotations

from math import prod

from ..backends import Array, Library
from ..core import maps
from ..core.regions import Paste, Region, Sizes, inside
from . import rows


def mass(xp: Library, saliency: Array, source: Array | None, index: Array, region: Region, sizes: Sizes) -> Array:
    """Return float32 (k, n): sum over pixels of weight * map / sum of the map, for each source; maps as integers."""
    rows.check(xp, saliency, source, index, "saliency")
    maps.check(xp, "saliency", saliency, len(sizes.source), xp.stack([xp.arange(xp.shape(index)[1])]))
    n, partners = xp.shape(index)[1], saliency if source is None else source
    weights = region.pixel_weights(xp, n, sizes.output)
    fractions = []
    for k in range(region.sources):
        level = maps.saliency(xp, saliency if k == 0 else partners, xp.arange(n) if k == 0 else index[k])
        level = xp.cast(maps.at_pixels(xp, level, sizes.source), "int32")
        fractions.append(xp.ratio(_seen(xp, level, weights[k], region, k, sizes), _total(xp, level)))
    return rows.merge(xp, index, xp.stack(fractions))


def _seen(xp: Library, level: Array, weight: Array, region: Region, k: int, sizes: Sizes) -> Array:
    """Return float32 (n,): the visible mass; through a window, that of the part of the source that it shows."""
    box, source_box = region.box[k], region.source_box[k]
    if box is None or source_box is None:
        return _weighed(xp, level, weight)
    through = _total(xp, xp.where(inside(xp, source_box, sizes.source), level, level * 0))
    within = inside(xp, box, sizes.output)
    seen = xp.total(xp.where(within, xp.cast(weight, "float32"), xp.full((), 0.0, "float32")), _axes(weight))
    through = through * xp.ratio(seen, xp.maximum(xp.total(within, _axes(within)), 1.0))  # the mean weight of the box
    if not isinstance(region, Paste) or region.background is None:
        return through
    return through + _weighed(xp, level, xp.where(within, weight * 0, weight))


def _weighed(xp: Library, level: Array, weight: Array) -> Array:
    if xp.dtype(weight) == "bool":
        return _total(xp, xp.where(weight, level, level * 0))
    return xp.total(xp.cast(level, "float32") * weight, _axes(weight))


def _total(xp: Library, level: Array) -> Array:
    """Return float32 (n,): the sum of integers, computed exactly and then rounded."""
    n, *size = xp.shape(level)
    return xp.cast(xp.summed(xp.reshape(level, (n, prod(size)))), "float32")


def _axes(x: Array) -> tuple[int, ...]:
    return tuple(range(1, len(x.shape)))
