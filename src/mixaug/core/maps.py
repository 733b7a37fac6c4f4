"""Guides as integers: they are rounded first, so that guided recipes draw the same mix in every library.

saliency    uint8 (n, *size): rint(255 * x / max(x)) of each map; 255 everywhere if no pixel is above 0
masks       int32 (n, *size): class ids in 0..255; 256 for any other value
instances   bool (n, m, *size): the masks of the objects of each sample
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from .. import backends
from ..backends import Array, Library
from .hints import short
from .regions import Size
from .scale import nearest, same

NEEDS = ("saliency", "masks", "instances")
MAX_PIXELS = 2**23  #: pixels per map, so that sums stay below 2^31
IDS = 256  #: class ids are 0 .. IDS - 1
TOP = 255  #: the greatest saliency

_LEAST = 2.0**-126  #: smaller floats count as 0, as on hardware that flushes denormals
_DTYPES = {"saliency": ("float", "int", "bool"), "masks": ("int", "bool"), "instances": ("int", "bool")}
_FORMS = {"saliency": "(n, *size)", "masks": "(n, *size)", "instances": "(n, m, *size)"}
_WAYS = {
    "saliency": "guide=ma.guides.spectral_residual(images)",
    "masks": "guide=masks, class ids (n, *size)",
    "instances": "guide=instances, the mask of each object (n, m, *size)",
}


def given(recipe: object, needs: tuple[str, ...], guide: Any) -> Mapping[str, Array]:
    """Return the guides that a recipe needs by name, from the argument of `draw`."""
    if guide is None:
        if needs:
            ways = " and ".join(_WAYS[need] for need in needs)
            way_out = ways if len(needs) == 1 else f"guide={{{', '.join(f'{need!r}: ...' for need in needs)}}}"
            raise ValueError(f"guide: expected {' and '.join(needs)} for {recipe!r}, got None; pass {way_out}")
        return {}
    if not needs:
        raise ValueError(f"guide: expected None for {recipe!r}, which needs no guide, got one; leave guide= out")
    named = guide if isinstance(guide, Mapping) else {needs[0]: guide}
    if set(named) != set(needs):
        names = ", ".join(f"{need!r}: ..." for need in needs)
        raise ValueError(
            f"guide: expected {' and '.join(needs)} for {recipe!r}, got {', '.join(map(str, named))}; "
            f"pass guide={{{names}}}"
        )
    return named


def check(xp: Library, need: str, x: Array, axes: int, index: Array) -> None:
    """Check the dtype, the axes and the number of rows of a guide."""
    dtype, shape = xp.dtype(x), tuple(x.shape)
    if not any(kind in dtype for kind in _DTYPES[need]):
        raise TypeError(f"{need}: expected {' or '.join(_DTYPES[need])} of {_FORMS[need]}, got {dtype}; cast it")
    first = 2 if need == "instances" else 1
    if len(shape) != first + axes:
        raise ValueError(
            f"{need}: expected the shape {_FORMS[need]} with {axes} spatial axes, got {shape}; pass a map for each row"
        )
    pixels = [length for length in shape[first:] if isinstance(length, int)]
    if prod(pixels) > MAX_PIXELS:
        raise ValueError(f"{need}: expected maps of at most {MAX_PIXELS} pixels, got {prod(pixels)}; pass smaller maps")
    values = backends.of(index).concrete(index)
    if values is not None and values.size and isinstance(shape[0], int) and values.max() >= shape[0]:
        raise ValueError(
            f"{need}: expected rows up to {values.max()}, which `index` refers to, got {shape[0]} rows; pass one map "
            "for each row of the source"
        )


def read(xp: Library, need: str, x: Array, rows: Array) -> Array:
    """Return rows of a guide as integers, in its own size."""
    if need == "saliency":
        return saliency(xp, x, rows)
    x = xp.take(x, rows)
    if need == "masks":
        return ids(xp, x)
    return x != 0 if "int" in xp.dtype(x) else x


def saliency(xp: Library, x: Array, rows: Array) -> Array:
    """Return rint(255 * x / max(x)) of each map, uint8 (n, *size)."""
    shape = (xp.shape(rows)[0], *xp.shape(x)[1:])
    if kernels := xp.draw_kernels():
        levels, is_wrong = kernels.levels(*_contiguous(x, rows))
        _refuse(x, rows, is_wrong)
        return np.reshape(levels, shape)
    return xp.reshape(_levels(xp, xp.take(x, rows)), shape)


def peak(xp: Library, x: Array, rows: Array) -> Array:
    """Return the flat index of the first pixel of greatest saliency of each map, int32 (n,)."""
    if kernels := xp.draw_kernels():
        first, is_wrong = kernels.peaks(*_contiguous(x, rows))
        _refuse(x, rows, is_wrong)
        return first
    levels = _levels(xp, xp.take(x, rows))
    pixels = xp.shape(levels)[1]
    left = pixels - xp.arange(pixels)[None, :]
    return pixels - xp.highest(xp.where(levels == TOP, left, left * 0))[:, 0]


def ids(xp: Library, x: Array) -> Array:
    """Return class ids, int32, with `IDS` for values that are not ids."""
    x = xp.cast(x, "int64" if xp.dtype(x) not in ("bool", "uint8") else "int32")
    is_id = (x >= 0) & (x < IDS)
    if xp.name == "numpy" and not is_id.all():
        raise ValueError(
            f"masks: expected class ids in 0..{IDS - 1}, got {x[~is_id].flat[0]}; replace other values, as with "
            "np.where(masks < 0, 255, masks)"
        )
    return xp.cast(xp.where(is_id, x, x * 0 + IDS), "int32")


def at_pixels(xp: Library, x: Array, size: Size) -> Array:
    """Resize maps to the size of the images by nearest neighbour."""
    first = len(x.shape) - len(size)
    map_size = xp.shape(x)[first:]
    if same(map_size, size):
        return x
    for axis, (length, of) in enumerate(zip(size, map_size, strict=True), first):
        x = xp.take(x, nearest(xp, length, of), axis)
    return x


def _levels(xp: Library, x: Array) -> Array:
    """Return the levels of maps (n, *size), uint8 (n, pixels)."""
    n, *size = xp.shape(x)
    x, zero = xp.cast(xp.reshape(x, (n, prod(size))), "float32"), xp.full((), 0.0, "float32")
    valid = (x >= 0) & (x < float("inf"))
    if xp.name == "numpy":
        _refuse(x, np.arange(n), not valid.all())
    x = xp.where(valid & (x >= _LEAST), x, zero)
    top = xp.highest(x)
    levels = xp.rint(xp.ratio(x, xp.where(top > 0, top, zero + 1.0)) * float(TOP))
    return xp.cast(xp.cast(xp.where(top > 0, levels, zero + float(TOP)), "int32"), "uint8")


def _contiguous(x: Array, rows: Array) -> tuple[Array, Array]:
    """Return maps for the kernels: contiguous float32 (N, pixels), and the row numbers, int64."""
    if x.dtype != np.float32 or not x.flags.c_contiguous:
        x, rows = np.ascontiguousarray(x[rows], np.float32), np.arange(len(rows))
    return x.reshape(len(x), prod(x.shape[1:])), np.asarray(rows, np.int64)


def _refuse(x: Array, rows: Array, is_wrong: bool) -> None:
    """Raise a ValueError that shows a negative or non-finite value."""
    if is_wrong:
        values = np.asarray(x[rows], np.float32)
        wrong = values[~(np.isfinite(values) & (values >= 0))]
        raise ValueError(
            f"saliency: expected finite numbers of 0 or more, got {short(float(wrong.flat[0]))}; pass "
            "np.maximum(np.nan_to_num(saliency), 0)"
        )


def example(need: str, n: int, size: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    """Return a random guide for tests of a recipe: saliency, masks of five classes, or three objects."""
    rng = np.random.default_rng(seed)
    if need == "saliency":
        return rng.random((n, *size), np.float32)
    if need == "masks":
        return rng.integers(0, 5, (n, *size)).astype(np.uint8)
    objects = np.zeros((n, 3, *size), bool)
    for mask in objects.reshape(-1, *size):
        first = [rng.integers(0, length) for length in size]
        mask[tuple(slice(a, rng.integers(a, length) + 1) for a, length in zip(first, size, strict=True))] = True
    return objects
