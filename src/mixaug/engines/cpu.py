"""Mixes on the CPU by the loops that Numba compiles, through views of the arrays' own memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import _xp
from .._xp import Array, Library
from ..keys import GRID
from ..regions import Dense, Region, stacked
from ..units import Units
from .memory import memory

_LOOPS = "mixaug.engines.loops"
_BITS = {"float16": np.dtype(np.int16), "bfloat16": np.dtype(np.uint16)}  # Numba has no type for them
_CHUNK = 1536  # elements that are computed at once: what is made of them stays in the first cache
_PIECE = 6144  # bytes that are read and written at a time, where outputs are written past the caches
_ROUND = 64  # elements that a piece is a multiple of: whole lines of memory
_STREAM = 8 << 20  # bytes of an output that no cache holds: it is written past them

Host = np.ndarray[Any, Any]


class _Layout(NamedTuple):
    """How images lie in memory, without gaps."""

    shape: tuple[int, ...]  #: (planes, depth, height, width, step) of one, as the loops have it
    moved: bool  #: whether channels that are named first lie last, as PyTorch's channels_last


def images(
    xp: Library,
    x: Array | None,
    source: Array | None,
    parent: Array,
    region: Region,
    channels: str | None,
    units: Units,
    out: Array | None,
) -> Array | None:
    """The mixed images; None where they are traced, need a gradient, or are of a form that the loops do not take.

    x None: the own samples are the rows parent[0] of the source. The region is of the images' size, its crops too.
    """
    given = source if x is None else x
    dtype, rows = xp.dtype(given), xp.host(given)
    if rows is None or not _is_taken(dtype, units.dtype) or not _are_numbers(units):
        return None
    held, layout = _on_host({"parent": parent, **region.arrays()}), _layout(rows, channels)
    if held is None or layout is None or not _fits(held, region.parents, _spatial(rows, channels)):
        return None
    others = rows if source is given or source is None else xp.host(source)
    into = _fresh(rows, held["parent"].shape[1], units.dtype, layout) if out is None else xp.host(out)
    if any(a is None or _layout(a, channels) != layout for a in (others, into) if a is not rows):
        return None
    loops = _xp.loops(_LOOPS)
    if loops is None or not into.flags.writeable:
        return None
    if into.size:
        own, made = _flat(rows, layout, dtype), _flat(into, layout, units.dtype)
        source_ = own if others is rows else _flat(others, layout, dtype)
        made.flags.writeable = True
        work = np.empty(max(1, _CHUNK // layout.shape[4]) * layout.shape[4], _computed_in(dtype, units))
        how = (layout.shape, *_units(units, layout, work), work, _buffer(made, own))
        who = (held["parent"], x is None, source is None)
        filling, scratch = _filling(held.get("fill"), layout.shape, dtype, own.dtype), np.empty(loops.TILE, own.dtype)
        form = _dense if isinstance(region, Dense) else _paste
        form(loops, (made, own, source_, filling), who, held, region.parents, scratch, how)
    return xp.adopt(into, units.dtype) if out is None else xp.written(out)


def _paste(
    loops: Any,
    pixels: tuple[Host, ...],
    who: tuple[Host, bool, bool],
    held: Mapping[str, Host],
    parents: int,
    scratch: Host,
    how: tuple[Any, ...],
) -> None:
    """Outputs of a Paste, by the arrays that it holds."""
    (k, n), work = who[0].shape, how[-2]
    weight, blended = np.zeros((k, 0), work.dtype), np.zeros(n, bool)
    if "background" in held and k > 1:
        weight, blended = _weights(held["background"], work.dtype), held["background"][0] != 1
    shown = tuple(j for j in range(parents) if f"box_{j}" in held)
    moved = tuple(f"crop_{j}" in held for j in shown)
    hole = ("hole",) if "hole" in held else ()
    boxes = _read_only(stacked([held[name] for name in (*(f"box_{j}" for j in shown), *hole)], n, 1))
    crops = boxes
    if any(moved):
        parts = [held.get(f"crop_{j}", held[f"box_{j}"]) for j in shown] + [held[name] for name in hole]
        crops = _read_only(stacked(parts, n, 1))
    loops.paste(
        *pixels,
        *who,
        _read_only(weight),
        blended,
        scratch,
        boxes,
        *_which(shown, moved, bool(hole)),
        crops,
        np.empty((len(boxes), how[0][3] if any(moved) else 0), np.int64),
        np.empty((len(boxes), 3, 2), np.int64),
        np.empty(len(boxes), np.int64),
        *how,
    )


def _dense(
    loops: Any,
    pixels: tuple[Host, ...],
    who: tuple[Host, bool, bool],
    held: Mapping[str, Host],
    parents: int,
    scratch: Host,
    how: tuple[Any, ...],
) -> None:
    """Outputs of a Dense, by the arrays that it holds."""
    (k, n), shape, work = who[0].shape, how[0], how[-2]
    moved = tuple(f"crop_{j}" in held for j in range(parents))
    boxes, crops = [], []
    if any(moved):
        unseen = np.zeros_like(next(held[f"crop_{j}"] for j in range(parents) if moved[j]))
        boxes, crops = ([held.get(f"{part}_{j}", unseen) for j in range(parents)] for part in ("box", "crop"))
    loops.dense(
        *pixels,
        *who,
        held["weight"].reshape(k, n, -1),
        np.empty(len(work) + 2 * shape[4], work.dtype),
        scratch,
        _which(tuple(range(parents)), moved, False)[1],
        _read_only(stacked(boxes, n, 1)),
        _read_only(stacked(crops, n, 1)),
        np.empty((parents, shape[3] if any(moved) else 0), np.int64),
        *how,
    )


def labels(
    xp: Library, y: Array, source: Array | None, parent: Array, share: Array, num_classes: int | None
) -> Array | None:
    """Shares of classes, float32 (n, num_classes), of ids (n,); None where they are traced, or not all in range."""
    if num_classes is None or len(y.shape) != 1 or "int" not in xp.dtype(y):
        return None
    held = _on_host({"own": y, "source": y if source is None else source, "parent": parent, "share": share})
    loops = None if held is None else _xp.loops(_LOOPS)
    if held is None or loops is None or held["share"].shape != held["parent"].shape:
        return None
    if held["share"].dtype != np.float32 or held["parent"].dtype != np.int32:
        return None
    made = np.zeros((len(held["own"]), num_classes), np.float32)
    known = loops.labels(made, held["own"], held["source"], held["parent"], held["share"])
    return xp.adopt(made, "float32") if known else None


def _on_host(arrays: Mapping[str, Array]) -> dict[str, Host] | None:
    """Views of all, read-only; None where one is not to be had."""
    held = {}
    for name, array in arrays.items():
        view = _xp.of(array).host(array)
        if view is None or not view.dtype.isnative:
            return None
        held[name] = _read_only(np.ascontiguousarray(view))
    return held


def _read_only(x: Host) -> Host:
    """A view that the loops know as one that they must not write to."""
    view = x[:]
    view.flags.writeable = False
    return view


def _are_numbers(units: Units) -> bool:
    """Whether scale and offset are known, and no gradient follows them."""
    return all(number is None or _xp.of(number).host(number) is not None for number in (units.scale, units.offset))


def _is_taken(dtype: str, wanted: str) -> bool:
    """Whether the loops know these dtypes."""
    return wanted in ("float32", "float64") if dtype == "float64" else wanted != "float64"


def _layout(x: Host, channels: str | None) -> _Layout | None:
    """How images lie in memory; None where they do with gaps, or have more than three spatial axes."""
    moved = not x.flags.c_contiguous
    if moved and (channels != "first" or not np.moveaxis(x, 1, -1).flags.c_contiguous):
        return None
    shape = x.shape[1:]
    planes = shape[0] if channels == "first" and not moved else 1
    step = shape[0] if moved else shape[-1] if channels == "last" else 1
    size = _spatial(x, channels)
    if len(size) > 3 or not x.flags.aligned or not x.dtype.isnative:
        return None
    return _Layout((planes, *(1,) * (3 - len(size)), *size, step), moved)


def _spatial(x: Host, channels: str | None) -> tuple[int, ...]:
    size: dict[str | None, tuple[int, ...]] = {"first": x.shape[2:], "last": x.shape[1:-1], None: x.shape[1:]}
    return size[channels]


def _fits(held: Mapping[str, Host], parents: int, size: tuple[int, ...]) -> bool:
    """Whether arrays are of the shapes and dtypes that a region has: the loops look no further."""
    k, n = held["parent"].shape
    box = ((n, len(size), 2),)
    shapes = {"parent": ((k, n),), "background": ((k, n),), "weight": ((k, n, *size),), "fill": ((n,), (n, *size))}
    known = {"background": "f", "weight": "fb", "fill": "f"}
    return (
        k == parents > 0
        and ("fill" in held or "hole" not in held)
        and all(
            x.shape in shapes.get(name, box) and x.dtype.itemsize in (4, 1) and x.dtype.kind in known.get(name, "i")
            for name, x in held.items()
        )
    )


def _fresh(like: Host, n: int, dtype: str, layout: _Layout) -> Host:
    """Memory for n images that lie as those do."""
    shape = (n, *(np.moveaxis(like, 1, -1) if layout.moved else like).shape[1:])
    kind = _BITS["bfloat16"] if dtype == "bfloat16" else np.dtype(dtype)
    made = memory(prod(shape) * kind.itemsize).view(kind).reshape(shape)
    return np.moveaxis(made, -1, 1) if layout.moved else made


def _flat(x: Host, layout: _Layout, dtype: str) -> Host:
    """All elements in one line, read-only."""
    line = (np.moveaxis(x, 1, -1) if layout.moved else x).reshape(-1)
    return _read_only(line.view(_BITS[dtype]) if dtype in _BITS else line)


def _computed_in(dtype: str, units: Units) -> Any:
    if dtype == "uint8" and units.keep(dtype):
        return np.int32
    return np.float64 if dtype == "float64" else np.float32


def _weights(background: Host, dtype: Any) -> Host:
    """The weights of a blend in the dtype that it is computed in: whole numbers of 2^-16 for integers."""
    if dtype != np.int32:
        return background.astype(dtype, copy=False)
    whole = np.rint(background * np.float32(GRID)).astype(np.int32)
    whole[0] = GRID - whole[1:].sum(axis=0)
    return whole


@lru_cache(maxsize=256)
def _which(shown: tuple[int, ...], moved: tuple[bool, ...], hole: bool) -> tuple[Host, Host]:
    """Whose each box is, -1 that of a hole, and whether it shows another part of its parent."""
    return np.array(shown + (-1,) * hole, np.int64), np.array(moved + (False,) * hole, bool)


def _filling(fill: Host | None, shape: tuple[int, ...], dtype: str, bits: Any) -> Host:
    """What is in holes, (n * elements of a line,), or of an image where it differs from pixel to pixel."""
    if fill is None:
        return _read_only(np.zeros(0, bits))
    planes, _, _, width, step = shape
    if dtype == "bfloat16":
        word = fill.view(np.uint32)
        rounded = ((word + np.uint32(0x7FFF) + (word >> 16 & 1)) >> 16).astype(np.uint16)  # to nearest, ties to even
    else:
        rounded = (np.clip(np.rint(fill), 0, 255) if dtype == "uint8" else fill).astype(dtype)
    if fill.ndim == 1:
        filling = np.repeat(rounded, width * step)
    else:
        filling = np.tile(np.repeat(rounded.reshape(len(fill), 1, -1), step, axis=2), (1, planes, 1))
    return _read_only(filling.reshape(-1).view(bits))


def _units(units: Units, layout: _Layout, work: Host) -> tuple[Host | None, Host | None]:
    """Scale and offset along a run of pixels, for each plane."""
    if units.scale is None:
        return None, None
    planes, step, length = layout.shape[0], layout.shape[4], len(work)
    scale = _pattern(np.asarray(units.scale, work.dtype).tobytes(), planes, step, length, work.dtype)
    return scale, _pattern(np.asarray(units.offset, work.dtype).tobytes(), planes, step, length, work.dtype)


@lru_cache(maxsize=64)
def _pattern(numbers: bytes, planes: int, step: int, length: int, dtype: Any) -> Host:
    each = np.broadcast_to(np.frombuffer(numbers, dtype), planes if planes > 1 else step)
    along = length + step
    made = np.repeat(each, along) if planes > 1 else np.resize(each, along)
    made.flags.writeable = False
    return made


def _buffer(made: Host, own: Host) -> Host | None:
    """Where pieces are made before they are written past the caches, two; None where these are to hold them."""
    if made.nbytes < _STREAM or made.ctypes.data % made.itemsize:
        return None
    piece = _PIECE // (made.itemsize + own.itemsize) // _ROUND * _ROUND
    return np.empty(2 * piece, made.dtype)
