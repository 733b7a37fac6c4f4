"""Guides in whole numbers: rounded on entry, so that what a guided recipe draws is the same everywhere.

saliency    uint8 (n, *size): rint(255 * x / max(x)) of each map; 255 everywhere where no pixel is above 0
masks       int32 (n, *size): class ids 0 to 255; 256 for what is no such id
instances   bool (n, m, *size): the masks of each sample's objects
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
from .scale import home, same

NEEDS = ("saliency", "masks", "instances")
MAX_PIXELS = 2**23  #: of a map: sums of its whole numbers stay below 2^31
IDS = 256  #: class ids are 0 .. IDS - 1
TOP = 255  #: the greatest saliency

_LEAST = 2.0**-126  #: smaller floats are 0, as they are where hardware flushes them
_DTYPES = {"saliency": ("float", "int", "bool"), "masks": ("int", "bool"), "instances": ("int", "bool")}
_FORMS = {"saliency": "(n, *size)", "masks": "(n, *size)", "instances": "(n, m, *size)"}
_WAYS = {
    "saliency": "guide=ma.guides.spectral_residual(images)",
    "masks": "guide=masks, class ids (n, *size)",
    "instances": "guide=instances, the mask of each object (n, m, *size)",
}


def given(recipe: object, needs: tuple[str, ...], guide: Any) -> Mapping[str, Array]:
    """The guides that a recipe needs, by name, of what was handed to `draw`."""
    if guide is None:
        if needs:
            ways = " and ".join(_WAYS[need] for need in needs)
            way_out = ways if len(needs) == 1 else f"guide={{{', '.join(f'{need!r}: ...' for need in needs)}}}"
            raise ValueError(f"guide: expected {' and '.join(needs)} for {recipe!r}, got none; pass {way_out}")
        return {}
    if not needs:
        raise ValueError(f"guide: expected none for {recipe!r}, which needs no guide, got one; leave guide= out")
    named = guide if isinstance(guide, Mapping) else {needs[0]: guide}
    if set(named) != set(needs):
        names = ", ".join(f"{need!r}: ..." for need in needs)
        raise ValueError(
            f"guide: expected {' and '.join(needs)} for {recipe!r}, got {', '.join(map(str, named))}; "
            f"pass guide={{{names}}}"
        )
    return named


def check(xp: Library, need: str, x: Array, axes: int, index: Array) -> None:
    """Raise unless a guide has the dtype and the axes that are needed, and the rows that `index` names."""
    dtype, shape = xp.dtype(x), tuple(x.shape)
    if not any(kind in dtype for kind in _DTYPES[need]):
        raise TypeError(f"{need}: expected {' or '.join(_DTYPES[need])} of {_FORMS[need]}, got {dtype}; cast it")
    first = 2 if need == "instances" else 1
    if len(shape) != first + axes:
        raise ValueError(
            f"{need}: expected the shape {_FORMS[need]} with {axes} spatial axes, got {shape}; pass one map a row"
        )
    pixels = [length for length in shape[first:] if isinstance(length, int)]
    if prod(pixels) > MAX_PIXELS:
        raise ValueError(f"{need}: expected maps of at most {MAX_PIXELS} pixels, got {prod(pixels)}; pass smaller maps")
    held = backends.of(index).concrete(index)
    if held is not None and held.size and isinstance(shape[0], int) and held.max() >= shape[0]:
        raise ValueError(
            f"{need}: expected rows up to {held.max()}, which partners come from, got {shape[0]} rows; pass one map "
            "for each row of the source"
        )


def read(xp: Library, need: str, x: Array, rows: Array) -> Array:
    """The rows of a guide in whole numbers, at its own size."""
    if need == "saliency":
        return saliency(xp, x, rows)
    x = xp.take(x, rows)
    if need == "masks":
        return ids(xp, x)
    return x != 0 if "int" in xp.dtype(x) else x


def saliency(xp: Library, x: Array, rows: Array) -> Array:
    """uint8 (n, *size): rint(255 * x / max(x)) of each map."""
    shape = (xp.shape(rows)[0], *xp.shape(x)[1:])
    if kernels := xp.draw_kernels():
        levels, is_wrong = kernels.levels(*_contiguous(x, rows))
        _refuse(x, rows, is_wrong)
        return np.reshape(levels, shape)
    return xp.reshape(_levels(xp, xp.take(x, rows)), shape)


def peak(xp: Library, x: Array, rows: Array) -> Array:
    """int32 (n,): the first pixel of the greatest saliency of each map, pixels counted row by row."""
    if kernels := xp.draw_kernels():
        first, is_wrong = kernels.peaks(*_contiguous(x, rows))
        _refuse(x, rows, is_wrong)
        return first
    levels = _levels(xp, xp.take(x, rows))
    pixels = xp.shape(levels)[1]
    left = pixels - xp.arange(pixels)[None, :]
    return pixels - xp.highest(xp.where(levels == TOP, left, left * 0))[:, 0]


def ids(xp: Library, x: Array) -> Array:
    """int32: class ids, and IDS for what is none."""
    x = xp.cast(x, "int64" if xp.dtype(x) not in ("bool", "uint8") else "int32")
    is_id = (x >= 0) & (x < IDS)
    if xp.name == "numpy" and not is_id.all():
        raise ValueError(
            f"masks: expected class ids of 0 to {IDS - 1}, got {x[~is_id].flat[0]}; write them as others, such as "
            "np.where(masks < 0, 255, masks)"
        )
    return xp.cast(xp.where(is_id, x, x * 0 + IDS), "int32")


def at_pixels(xp: Library, x: Array, size: Size) -> Array:
    """A map of another size at the pixels of an image: the value of the map's pixel that each belongs to."""
    first = len(x.shape) - len(size)
    own = xp.shape(x)[first:]
    if same(own, size):
        return x
    for axis, (length, of) in enumerate(zip(size, own, strict=True), first):
        x = xp.take(x, home(xp, length, of), axis)
    return x


def _levels(xp: Library, x: Array) -> Array:
    """uint8 (n, pixels) of maps (n, *size)."""
    n, *size = xp.shape(x)
    x, zero = xp.cast(xp.reshape(x, (n, prod(size))), "float32"), xp.full((), 0.0, "float32")
    is_right = (x >= 0) & (x < float("inf"))
    if xp.name == "numpy":
        _refuse(x, np.arange(n), not is_right.all())
    x = xp.where(is_right & (x >= _LEAST), x, zero)
    top = xp.highest(x)
    levels = xp.rint(xp.ratio(x, xp.where(top > 0, top, zero + 1.0)) * float(TOP))
    return xp.cast(xp.cast(xp.where(top > 0, levels, zero + float(TOP)), "int32"), "uint8")


def _contiguous(x: Array, rows: Array) -> tuple[Array, Array]:
    """What the kernels take: float32 (N, pixels) in one block of memory, and which rows of it, int64."""
    if x.dtype != np.float32 or not x.flags.c_contiguous:
        x, rows = np.ascontiguousarray(x[rows], np.float32), np.arange(len(rows))
    return x.reshape(len(x), prod(x.shape[1:])), np.asarray(rows, np.int64)


def _refuse(x: Array, rows: Array, is_wrong: bool) -> None:
    """Raise a ValueError if maps hold a number that is not finite, or below 0."""
    if is_wrong:
        held = np.asarray(x[rows], np.float32)
        wrong = held[~(np.isfinite(held) & (held >= 0))]
        raise ValueError(
            f"saliency: expected finite numbers of 0 or more, got {short(float(wrong.flat[0]))}; pass such as "
            "np.maximum(np.nan_to_num(saliency), 0)"
        )


def example(need: str, n: int, size: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    """A guide to try a recipe with: smooth random maps, masks of five classes, or three objects."""
    rng = np.random.default_rng(seed)
    if need == "saliency":
        return rng.random((n, *size), np.float32)
    if need == "masks":
        return rng.integers(0, 5, (n, *size)).astype(np.uint8)
    objects = np.zeros((n, 3, *size), bool)
    for one in objects.reshape(-1, *size):
        first = [rng.integers(0, length) for length in size]
        one[tuple(slice(a, rng.integers(a, length) + 1) for a, length in zip(first, size, strict=True))] = True
    return objects
