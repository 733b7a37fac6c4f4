"""Masks of class ids: each pixel of the source that weighs most there, or the share of each class."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from .. import engines
from .._xp import Array, Library
from ..regions import Dense, Paste, Region, Size, inside
from ..scale import same, scaled
from ..units import Units
from . import images, labels, rows

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def mix(
    xp: Library,
    m: Array,
    source: Array | None,
    index: Array,
    region: Region,
    drawn_for: Size,
    channels: str | None,
    num_classes: int | None,
    ignore_index: int | None,
) -> Array:
    """The id of the source that weighs most at each pixel, of the shape and dtype of m."""
    channels = images.placed(xp, channels, "masks") if with_channel(m, drawn_for) else None
    check = partial(_check, xp, m, source, index, num_classes, ignore_index)
    found = images.size(xp, m, channels, "masks")
    if num_classes is not None or ignore_index is not None or not same(drawn_for, found):
        check()
    here = scaled(xp, region, drawn_for, found)
    if _is_cut(xp, m, region, here):
        # a hole belongs to nobody: what is covered there is still known
        kept = replace(here, hole=None, fill=None) if isinstance(here, Paste) else here
        made = engines.images(xp, m, source, index, kept, channels, Units(xp.dtype(m)), None, check)
        if made is not None:
            return made
    check()
    sources = rows.gather(xp, m, source, index, images.used(region))
    seen = images.views(xp, sources, region, drawn_for, channels)
    if isinstance(here, Dense):
        weights = [images.per_channel(here.weight[j], channels) for j in range(here.sources)]
        out = heaviest(xp, weights, seen)
    else:
        out = _paste(xp, sources, seen, index, here, channels)
    return xp.copy(m) if out is m else out


def _is_cut(xp: Library, m: Array, region: Region, here: Region) -> bool:
    """Whether pixels of a mask are copied as those of images are, each from one source."""
    whole = here is region or all(source_box is None for source_box in here.source_box)
    copied = whole and xp.dtype(m) in DTYPES and xp.dtype(m) != "bool"
    if isinstance(here, Dense):
        return copied and here.fill is None and xp.dtype(here.weight) == "bool"
    return copied and here.background is None


def _paste(
    xp: Library, sources: list[Array], seen: list[Array], index: Array, here: Paste, channels: str | None
) -> Array:
    own = out = sources[0]
    spatial = images.size(xp, own, channels)
    if here.background is not None:
        blended = rows.merge(xp, index, here.background)
        out = heaviest(xp, [rows.over(blended[j], own) for j in range(here.sources)], sources)
    for box, pasted in zip(here.box, seen, strict=True):
        if box is not None:
            out = xp.where(images.per_channel(inside(xp, box, spatial), channels), pasted, out)
    if here.hole is not None:
        out = xp.where(images.per_channel(inside(xp, here.hole, spatial), channels), own, out)
    return out


def heaviest(xp: Library, weights: list[Array], values: list[Array]) -> Array:
    """The value whose weight is the greatest, the first of several: weights that are all 0 give the first."""
    out, best = values[0], weights[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        if xp.dtype(weight) == "bool":
            out = xp.where(weight, value, out)
        else:
            out, best = xp.where(weight > best, value, out), xp.maximum(weight, best)
    return out


def shares(
    xp: Library,
    m: Array,
    source: Array | None,
    index: Array,
    region: Region,
    drawn_for: Size,
    channels: str | None,
    num_classes: int | None,
    ignore_index: int | None,
) -> Array:
    """float32 (n, *size, num_classes): how much of each pixel is of each class, of the sources not ignored there."""
    if num_classes is None:
        raise ValueError("masks: shares of classes need to know how many; pass num_classes=")
    placed = images.placed(xp, channels, "masks") or "last"
    if with_channel(m, drawn_for):
        m, source = (x if x is None else without_channel(x, placed) for x in (m, source))
    _check(xp, m, source, index, num_classes, ignore_index)
    here = scaled(xp, region, drawn_for, xp.shape(m)[1:])
    seen = images.shown(xp, rows.gather(xp, m, source, index), region, here, drawn_for, None)
    weights = targets(xp, here, m)
    if ignore_index is not None:
        zero = xp.full((), 0.0, "float32")
        weights = [
            xp.where(labels.is_id(xp, ids, ignore_index), zero, weight)
            for weight, ids in zip(weights, seen, strict=True)
        ]
        total = sum(weights[1:], weights[0])
        total = xp.where(total > 0, total, xp.full((), 1.0, "float32"))
        weights = [weight / total for weight in weights]
    terms = [
        labels.spread(xp, ids, weight, num_classes, placed == "first", ignore_index)
        for ids, weight in zip(seen, weights, strict=True)
    ]
    return sum(terms[1:], terms[0])


def targets(xp: Library, here: Region, m: Array) -> list[Array]:
    """float32 (n, *size) a source: its weight at each pixel of masks (n, *size); of a hole the own one has all."""
    weights = weights_of(xp, here, m)
    if here.fill is not None:
        weights[0] = xp.where(sum(weights[1:], weights[0]) > 0, weights[0], xp.full((), 1.0, "float32"))
    return weights


def weights_of(xp: Library, here: Region, m: Array) -> list[Array]:
    """float32 (n, *size) a source: its weight at each pixel of masks (n, *size)."""
    n, *spatial = xp.shape(m)
    dense = here.pixel_weights(xp, n, tuple(spatial))
    return [xp.cast(dense[j], "float32") for j in range(here.sources)]


def with_channel(m: Array, drawn_for: Size) -> bool:
    """Whether masks have a channel axis beside those of their size."""
    if len(m.shape) not in (len(drawn_for) + 1, len(drawn_for) + 2):
        raise ValueError(
            f"masks: expected (n, *size) of {len(drawn_for)} spatial axes, with a channel axis or without, "
            f"got {len(m.shape)} axes"
        )
    return len(m.shape) == len(drawn_for) + 2


def without_channel(m: Array, channels: str) -> Array:
    """Masks (n, *size) of masks with a channel axis of length 1."""
    if m.shape[-1 if channels == "last" else 1] != 1:
        raise ValueError(
            f"masks: expected one channel of class ids with channels={channels!r}, got the shape {tuple(m.shape)}; "
            "mix each channel by itself"
        )
    return m[..., 0] if channels == "last" else m[:, 0]


def _check(
    xp: Library, m: Array, source: Array | None, index: Array, num_classes: int | None, ignore_index: int | None
) -> None:
    dtype = xp.dtype(m)
    if dtype not in DTYPES:
        raise TypeError(
            f"masks: expected class ids of an integer dtype or bool, got {dtype}; cast ids to int, "
            "or mix numbers to be blended with mix.images"
        )
    if ignore_index is not None:
        _check_ignored(dtype, ignore_index)
    rows.check(xp, m, source, index, "masks")
    if num_classes is not None:
        labels.check_ids(xp, m, labels.check_count(num_classes), ignore_index, "masks")


def _check_ignored(dtype: str, ignore_index: int) -> None:
    if isinstance(ignore_index, bool) or not hasattr(ignore_index, "__index__"):
        raise TypeError(f"ignore_index: expected a whole number, got {ignore_index!r}")
    low, high = (0, 1) if dtype == "bool" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if not low <= ignore_index <= high:
        raise ValueError(f"ignore_index: expected an id that {dtype} masks can hold, {low}..{high}, got {ignore_index}")
