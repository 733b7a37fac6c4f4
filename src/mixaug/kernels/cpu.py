"""Fast path on the CPU: mixes arrays in place in their memory, with kernels that Numba compiles.

It handles valid, contiguous inputs and returns None otherwise; then `ops` validates them and falls back. Which inputs
are handled, and how, depends only on dtypes, shapes and strides; `plan` caches the answer.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..backends import Array, Library
from ..core.regions import Region, Size, stacked
from ..core.rows import Rows
from ..core.units import Target, Units
from .forms import State
from .plan import ArrayForm, Call, Host, KernelPlan, Shape, plan
from .pool import memory

_MOST_CLASSES = 2**24  # more are refused by `ops`
_SCALES = State._fields.index("scale")


def images(xp: Library, rows: Rows, region: Region, target: Target, size: Size | None = None) -> Array | None:
    """The mixed images; None where they are traced, need a gradient, are wrong, or of a form that no kernel takes.

    The region is of the images' size, its source boxes too; or its boxes are of another `size`, that of the outputs,
    and all sources are seen through them.
    """
    example, others, out, units = rows.example, rows.others, target.out, target.units
    own = xp.as_numpy(example)
    source = own if others is None or others is example else xp.as_numpy(others)
    into = None if out is None else xp.as_numpy(out)
    if own is None or source is None or (out is not None and into is None) or backends.is_compiling():
        return None
    arrays, tiles = _arrays(rows.index, region), backends.kernels("mixaug.kernels.tiles")
    if arrays is None or tiles is None:
        return None
    request = Call(
        own=ArrayForm.of(xp, example, own),
        source=None if source is own else ArrayForm.of(xp, others, source),
        out=None if into is None else ArrayForm.of(xp, out, into),
        gathered=rows.base is None,
        chained=others is None,
        place=target.place,
        dtype=units.dtype,
        plain=units.scale is None,
        size=size,
        sources=region.sources,
        arrays=tuple([(name, array.dtype.char, array.shape) for name, array in arrays.items()]),
    )
    known = plan(request)
    scales = known and _scales(units, known)
    if known is None or scales is None:
        return None
    if into is None:
        into = _fresh(known, units.dtype)
    elif np.may_share_memory(into, own) or np.may_share_memory(into, source):
        return None
    if not tiles.mix(_numbers(known, scales), _bytes(into, known), *_inputs(known, own, source, arrays)):
        return None  # a source is not a row
    return xp.from_numpy(into, units.dtype) if out is None else xp.written(out)


def _arrays(index: Array, region: Region) -> dict[str, Host] | None:
    """The arrays of the region, each of several holes by itself; None if the host cannot read them."""
    arrays = _on_host({"index": index} | region.arrays())
    hole = None if arrays is None else arrays.get("hole")
    if arrays is None or hole is None or hole.ndim != 4:
        return arrays
    holes = {f"hole_{h}": np.ascontiguousarray(hole[:, h]) for h in range(hole.shape[1])}
    return {name: array for name, array in arrays.items() if name != "hole"} | holes


def _numbers(known: KernelPlan, scales: _Scales) -> Host:
    """The state of a batch, and scratch memory after it."""
    numbers = np.empty(known.length, np.int64)
    numbers[: len(known.numbers)] = known.numbers
    numbers[_SCALES : _SCALES + 2] = scales.addresses
    return numbers


def _inputs(known: KernelPlan, own: Host, source: Host, arrays: Mapping[str, Host]) -> tuple[Host, ...]:
    """What `tiles.mix` reads: images, index, boxes, weights and the fill, all read-only."""
    base = _read_only(_bytes(own, known))
    others = base if source is own else _read_only(_bytes(source, known))
    weight = _read_only(arrays[known.weight].reshape(-1).view(np.uint8)) if known.weight else _NO_BYTES
    filling = _filling(arrays["fill"], known) if known.state.filling_row else _NO_BYTES
    return base, others, arrays["index"], _boxes(known, arrays), weight, filling


def _boxes(known: KernelPlan, arrays: Mapping[str, Host]) -> Host:
    """All boxes, and their source boxes, as one array; a source that has none gets another's, which is not read."""
    if not known.boxes:
        return _NO_BOXES
    some = next(arrays[name] for name in known.boxes if name in arrays)
    boxes = [arrays.get(name, some) for name in known.boxes]
    return _read_only(stacked(boxes, known.state.n, known.state.axes))


def _read_only(x: Host) -> Host:
    """A view that the kernels know as one that they must not write to: they are compiled for these alone."""
    if x.flags.writeable:
        x = x[:]
        x.flags.writeable = False
    return x


def _fresh(known: KernelPlan, dtype: str) -> Host:
    """Memory for the outputs, which lie as the images do."""
    n, *rest = known.shape
    shape: Shape = (n, *rest[1:], rest[0]) if known.moved else known.shape
    kind = np.dtype(known.dtype_out if dtype == "bfloat16" else dtype)
    out = memory(prod(shape) * kind.itemsize).view(kind).reshape(shape)
    return np.moveaxis(out, -1, 1) if known.moved else out


def _bytes(x: Host, known: KernelPlan) -> Host:
    """The bytes of all elements, in the order of the memory."""
    return (np.moveaxis(x, 1, -1) if known.moved else x).reshape(-1).view(np.uint8)


def _filling(fill: Host, known: KernelPlan) -> Host:
    """The bytes of the fill, in the dtype of the images: of a line for each output, a plane, or a whole image."""
    if known.name == "bfloat16":
        word = fill.view(np.uint32)
        rounded = ((word + np.uint32(0x7FFF) + (word >> 16 & 1)) >> 16).astype(np.uint16)  # to nearest, ties to even
    else:
        rounded = (np.clip(np.rint(fill), 0, 255) if known.name == "uint8" else fill).astype(known.name)
    state, axes = known.state, known.state.axes
    if fill.ndim == 2 + axes:
        rounded = _coloured(rounded, state)
    else:
        rounded = np.repeat(rounded.reshape(-1), state.width * state.step if fill.ndim == 1 else state.step)
    return _read_only(rounded.view(np.uint8))


def _coloured(fill: Host, state: State) -> Host:
    """The elements of a fill (n, *size, c): a line for each output, or a whole image."""
    n, *size = fill.shape[:-1]
    sides = (state.depth, state.height, state.width)[-len(size) :]
    if state.planes == 1 and max(size) == 1:
        sides = (*size[1:], state.width)
    if state.planes > 1:
        fill, shape = np.moveaxis(fill, -1, 1), (n, state.planes, *sides)
    else:
        shape = (n, *sides, state.step)
    return np.ascontiguousarray(np.broadcast_to(fill, shape)).reshape(-1)


class _Scales(NamedTuple):
    """Scale and offset along a tile, for each plane; these arrays have to live as long as their addresses are used."""

    arrays: tuple[Host, Host]
    addresses: tuple[int, int]


def _scales(units: Units, known: KernelPlan) -> _Scales | None:
    """The scales of a batch; None if they are traced."""
    state = known.state
    planes = state.planes if state.along else 1
    if units.scale is None:
        return _unscaled(state.tile_length * planes, known.computed)
    return _scaled(units, (planes, state.step, known.spread, state.tile_length), known.computed)


@lru_cache(maxsize=64)
def _unscaled(length: int, dtype: Any) -> _Scales:
    return _with_addresses(np.full(length, 1, dtype), np.full(length, -0.0, dtype))  # x + -0.0 is x, even for -0.0


@lru_cache(maxsize=64)
def _scaled(units: Units, pattern: tuple[int, int, int, int], dtype: Any) -> _Scales | None:
    numbers = [backends.of(number).as_numpy(number) for number in (units.scale, units.offset)]
    if any(number is None for number in numbers):
        return None
    return _with_addresses(*(_along(np.asarray(number, dtype), *pattern) for number in numbers))


def _along(numbers: Host, planes: int, step: int, spread: int, tile: int) -> Host:
    """The number of each element of a tile, plane by plane."""
    each = np.repeat(np.broadcast_to(numbers, planes if planes > 1 else step // spread), spread)
    return np.repeat(each, tile) if planes > 1 else np.resize(each, tile)


def _with_addresses(scale: Host, offset: Host) -> _Scales:
    return _Scales((scale, offset), (scale.ctypes.data, offset.ctypes.data))


def labels(xp: Library, y: Array, source: Array | None, index: Array, lam: Array, num_classes: Any) -> Array | None:
    """The share of each class, float32 (n, num_classes), of ids (n,); None if they are traced, or anything is wrong."""
    count = _count(num_classes)
    if not count or len(y.shape) != 1 or "int" not in xp.dtype(y) or backends.is_compiling():
        return None
    arrays = _on_host({"own": y, "index": index, "lam": lam} | ({} if source is None else {"source": source}))
    classes = None if arrays is None else backends.kernels("mixaug.kernels.classes")
    if arrays is None or classes is None or not _are_labels(arrays):
        return None
    shares, own = np.zeros((len(arrays["own"]), count), np.float32), arrays["own"]
    right = classes.labels(shares, own, arrays.get("source", own), arrays["index"], arrays["lam"])
    return xp.from_numpy(shares, "float32") if right else None


def _count(num_classes: Any) -> int:
    """How many classes there are; 0 if `num_classes` is not a number of classes."""
    whole = hasattr(num_classes, "__index__") and not isinstance(num_classes, bool)
    count = operator.index(num_classes) if whole else 0
    return count if 0 < count <= _MOST_CLASSES else 0


def _are_labels(arrays: Mapping[str, Host]) -> bool:
    own, index, lam = arrays["own"], arrays["index"], arrays["lam"]
    source = arrays.get("source", own)
    return (
        (index.shape, index.dtype, lam.dtype) == (lam.shape, np.int32, np.float32)
        and own.shape == index.shape[1:]
        and (source.ndim, source.dtype) == (1, own.dtype)
    )


def _on_host(arrays: Mapping[str, Array]) -> dict[str, Host] | None:
    """Read-only views of all arrays; None if one cannot be read."""
    views = {}
    for name, array in arrays.items():
        view = array if type(array) is np.ndarray else backends.of(array).as_numpy(array)
        if view is None or not view.dtype.isnative:
            return None
        views[name] = _read_only(view if view.flags.c_contiguous else np.ascontiguousarray(view))
    return views


_NO_BYTES, _NO_BOXES = _read_only(np.zeros(0, np.uint8)), _read_only(np.zeros((0, 0, 0, 2), np.int32))
