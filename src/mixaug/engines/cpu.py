"""Mixes on the CPU by the loops that Numba compiles, through views of the arrays' own memory.

The loops take only what is right: what is not is left to `apply`, which says what is wrong with it. Whether it is, and
how it is done, follows from the forms of the arrays, and is worked out once for each of these: the `_plan`.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import _xp
from .._xp import Array, Library
from ..keys import ONE
from ..regions import Region, stacked
from ..units import Units
from .memory import memory

Host: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]

_LOOPS = "mixaug.engines.loops"
_BITS = {"float16": np.dtype(np.int16), "bfloat16": np.dtype(np.uint16)}  # Numba has no type for them
_SMALL = 4096  # elements of an image that is one run, whatever its channels, where it has no boxes
_CHUNK = 1536  # elements that are computed at once: what is made of them stays in the first cache
_PIECE = 6144  # bytes that are read and written at a time, where outputs are written past the caches
_ROUND = 64  # elements that a piece is a multiple of: whole lines of memory
_MOST_CLASSES = 2**24  # more are refused by `apply`
_STREAM = 8 << 20  # bytes of an output that no cache holds: it is written past them


class _Form(NamedTuple):
    """What is known of images without a look at their pixels."""

    name: str  #: of the dtype, in their library
    bits: str  #: NumPy's word for what they lie there as; its own dtypes are new ones in each array, and slow to hash
    shape: Shape
    lies: str  #: "plain", "moved" where channels that are named first lie last, as in channels_last, or "gaps"
    sound: bool  #: whether numbers are aligned, and their bytes in the order of this machine
    writeable: bool


class _Plan(NamedTuple):
    """How images of such forms are mixed."""

    dense: bool  #: whether by weights of pixels
    out: Shape  #: the shape of the outputs
    shape: Shape  #: (planes, depth, height, width, step) of one in memory, as the loops have it
    spread: int  #: elements in a row that have the scale of a channel
    moved: bool  #: whether channels that are named first lie last
    name: str  #: the dtype of the images
    given: Any  #: that of their bits
    made: Any  #: that of the bits of the outputs
    computed: Any  #: the dtype that is computed in
    chunk: int  #: elements that are computed at once
    piece: int  #: elements that are written past the caches at once; 0: outputs are written through them
    boxes: tuple[
        str, ...
    ]  #: the names of the boxes; beside weights of pixels, where some have a source box, one a source
    source_boxes: tuple[str, ...]  #: those of what they show; none where each shows what lies there
    who: Host  #: whose each box is, -1 that of a hole
    windows: Host  #: whether it shows another part of its source
    unblended: tuple[Host, Host]  #: weights where nothing is blended, and which outputs are blends
    unfilled: Host  #: what is in holes, where there are none


def images(
    xp: Library,
    x: Array | None,
    source: Array | None,
    index: Array,
    region: Region,
    place: str | None,
    units: Units,
    out: Array | None,
) -> Array | None:
    """The mixed images; None where they are traced, need a gradient, are wrong, or of a form that no loop takes.

    x None: the base samples are the rows index[0] of the source. The region is of the images' size, its source boxes
    too.
    """
    given: Array = source if x is None else x
    rows, into = xp.as_numpy(given), None if out is None else xp.as_numpy(out)
    others = rows if source is None or source is given else xp.as_numpy(source)
    if rows is None or others is None or (out is not None and into is None) or _xp.is_compiling():
        return None
    held = _on_host({"index": index, **region.arrays()})
    plan = held and _plan(
        region.sources,
        place,
        _form(xp, given, rows),
        None if others is rows else _form(xp, source, others),
        None if into is None else _form(xp, out, into),
        units.dtype,
        units.scale is None,
        x is None,
        tuple([(name, array.dtype.char, array.shape) for name, array in held.items()]),
    )
    converted = plan and _converted(units, plan)
    if not held or not plan or not converted:
        return None
    if into is None:
        into = _fresh(plan, units.dtype)
    elif np.may_share_memory(into, rows) or np.may_share_memory(into, others):
        return None
    who = held["index"], x is None, source is None
    if not _run(plan, into, rows, others, who, held, converted):
        return None
    return xp.from_numpy(into, units.dtype) if out is None else xp.written(out)


def _run(
    plan: _Plan,
    into: Host,
    rows: Host,
    others: Host,
    who: tuple[Host, bool, bool],
    held: Mapping[str, Host],
    converted: tuple[Host | None, Host | None],
) -> bool:
    """Make the outputs; False where sources are no rows, or there is no Numba: then nothing has been written."""
    loops = _xp.loops(_LOOPS)
    if loops is None:
        return False
    own = _read_only(_line(rows, plan, plan.given))
    source = own if others is rows else _read_only(_line(others, plan, plan.given))
    filling = _filling(held["fill"], plan) if "fill" in held else plan.unfilled
    pixels, scratch = (_line(into, plan, plan.made), own, source, filling), np.empty(loops.TILE, plan.given)
    buffer = np.empty(2 * plan.piece, plan.made) if plan.piece else None
    how = (plan.shape, *converted, np.empty(plan.chunk, plan.computed), buffer)
    loop, parts = (loops.dense, _dense) if plan.dense else (loops.paste, _paste)
    try:
        loop(*pixels, *who, *parts(plan, held, scratch), *how)
    except IndexError:
        return False
    return True


def _paste(plan: _Plan, held: Mapping[str, Host], scratch: Host) -> tuple[Host, ...]:
    """What the loop of a Paste has beside pixels and sources, by the arrays that the region holds."""
    count, n = len(plan.boxes), plan.out[0]
    weight, blended = plan.unblended
    if "background" in held and len(held["index"]) > 1:
        weight = _read_only(_weights(held["background"], plan.computed))
        blended = _read_only(held["background"][0] != 1)
    boxes = source_boxes = _stacked(held, plan.boxes, n)
    if plan.source_boxes:
        source_boxes = _stacked(held, plan.source_boxes, n)
    column = np.empty((count, plan.shape[3] if plan.source_boxes else 0), np.int64)
    ends, turn = np.empty((count, 3, 2), np.int64), np.empty(count, np.int64)
    return weight, blended, scratch, boxes, plan.who, plan.windows, source_boxes, column, ends, turn


def _dense(plan: _Plan, held: Mapping[str, Host], scratch: Host) -> tuple[Host, ...]:
    """Likewise of a Dense."""
    k, n = held["index"].shape
    weight, weights = held["weight"].reshape(k, n, -1), np.empty(plan.chunk + 2 * plan.shape[4], plan.computed)
    boxes, source_boxes = (_stacked(held, names, n) for names in (plan.boxes, plan.source_boxes))
    column = np.empty((len(plan.boxes), plan.shape[3]), np.int64)
    return weight, weights, scratch, plan.windows, boxes, source_boxes, column


def _stacked(held: Mapping[str, Host], names: tuple[str, ...], n: int) -> Host:
    """Boxes as the loops take them; those of a source that has none are of another, and not looked at."""
    some = next((held[name] for name in names if name in held), None)
    return _read_only(stacked([held.get(name, some) for name in names], n, 1))


def labels(xp: Library, y: Array, source: Array | None, index: Array, lam: Array, num_classes: Any) -> Array | None:
    """Shares of classes, float32 (n, num_classes), of ids (n,); None where they are traced, or anything is wrong."""
    classes = _count(num_classes)
    if not classes or len(y.shape) != 1 or "int" not in xp.dtype(y) or _xp.is_compiling():
        return None
    held = _on_host({"own": y, "source": y if source is None else source, "index": index, "lam": lam})
    loops = None if held is None else _xp.loops(_LOOPS)
    if held is None or loops is None or not _are_labels(held):
        return None
    made = np.zeros((len(held["own"]), classes), np.float32)
    right = loops.labels(made, held["own"], held["source"], held["index"], held["lam"])
    return xp.from_numpy(made, "float32") if right else None


def _count(num_classes: Any) -> int:
    """How many classes there are; 0 of what is no number of some."""
    whole = hasattr(num_classes, "__index__") and not isinstance(num_classes, bool)
    count = operator.index(num_classes) if whole else 0
    return count if 0 < count <= _MOST_CLASSES else 0


def _are_labels(held: Mapping[str, Host]) -> bool:
    own, source, index, lam = held.values()
    return (
        (index.shape, index.dtype, lam.dtype) == (lam.shape, np.int32, np.float32)
        and own.shape == index.shape[1:]
        and (source.ndim, source.dtype) == (1, own.dtype)
    )


def _on_host(arrays: Mapping[str, Array]) -> dict[str, Host] | None:
    """Views of all, read-only; None where one is not to be had."""
    held = {}
    for name, array in arrays.items():
        view = _xp.of(array).as_numpy(array)
        if view is None or not view.dtype.isnative:
            return None
        held[name] = _read_only(np.ascontiguousarray(view))
    return held


def _read_only(x: Host) -> Host:
    """A view that the loops know as one that they must not write to."""
    view = x[:]
    view.flags.writeable = False
    return view


def _form(xp: Library, x: Array, view: Host) -> _Form:
    flags, dtype, lies = view.flags, view.dtype, "plain"
    if not flags.c_contiguous:
        lies = "moved" if view.ndim > 2 and np.moveaxis(view, 1, -1).flags.c_contiguous else "gaps"
    return _Form(xp.dtype(x), dtype.str, view.shape, lies, flags.aligned and dtype.isnative, flags.writeable)


@lru_cache(maxsize=1024)
def _plan(
    sources: int,
    place: str | None,
    own: _Form,
    source: _Form | None,
    out: _Form | None,
    wanted: str,
    plain: bool,
    gathered: bool,
    arrays: tuple[tuple[str, str, Shape], ...],
) -> _Plan | None:
    """The plan for images of these forms, a source and an `out` if there are some; None where they do not fit.

    Args:
        sources: how many sources the region has.
        place: where the channels are: "first", "last" or None.
        own: the form of the batch, or of the source where it is gathered from that alone.
        source: None where the sources are rows of that as well.
        out: None where the outputs shall have fresh memory.
        wanted: the dtype of the outputs.
        plain: whether they stay in their units.
        gathered: whether the base samples are rows of the source.
        arrays: name, dtype and shape of those that the region holds, and of the sources.
    """
    held = {name: (np.dtype(char), shape) for name, char, shape in arrays}
    n, size = held["index"][1][-1], _spatial(own.shape, place)
    made = (n, *own.shape[1:])
    if (
        not _fits(held, sources, n, size)
        or not (1 <= len(size) <= 3 and 0 not in made)
        or not (gathered or own.shape[0] == n)
        or not all(_lies_like(form, own, place) for form in (own, source or own, out or own))
        or not (source is None or source[:2] == own[:2])
        or not (out is None or (out.name, out.shape, out.writeable) == (wanted, made, True))
        or not (wanted in ("float32", "float64") if own.name == "float64" else wanted != "float64")
    ):
        return None
    given, into = (_BITS.get(name) or np.dtype(name) for name in (own.name, wanted))
    computed: Any = np.float64 if own.name == "float64" else np.float32
    if own.name == wanted == "uint8" and plain:
        computed = np.int32
    moved = own.lies == "moved"
    planes = own.shape[1] if place == "first" and not moved else 1
    step = own.shape[1] if moved else own.shape[-1] if place == "last" else 1
    shape, spread = (planes, *(1,) * (3 - len(size)), *size, step), 1
    if planes > 1 and held.keys() <= {"index", "background"} and prod(made[1:]) <= _SMALL:
        step, spread = prod(made[1:]), prod(size)
        shape = (1, 1, 1, 1, step)
    piece = _PIECE // (into.itemsize + given.itemsize) // _ROUND * _ROUND
    dense = "weight" in held
    shown = tuple(j for j in range(sources) if f"box_{j}" in held or dense)
    windows, hole = [f"source_box_{j}" in held for j in shown], ("hole",) * ("hole" in held)
    boxes = (*(f"box_{j}" for j in shown), *hole) if any(windows) or not dense else ()
    source_boxes = tuple(
        source_box if (source_box := name.replace("box", "source_box")) in held else name for name in boxes
    )
    return _Plan(
        dense=dense,
        out=made,
        shape=shape,
        spread=spread,
        moved=moved,
        name=own.name,
        given=given,
        made=into,
        computed=computed,
        chunk=max(1, _CHUNK // step) * step,
        piece=piece if prod(made) * into.itemsize >= _STREAM else 0,
        boxes=boxes,
        source_boxes=source_boxes if any(windows) else (),
        who=np.array([*shown, *(-1 for _ in hole)], np.int64),
        windows=np.array([*windows, *(False for _ in hole)], bool),
        unblended=(_read_only(np.zeros((sources, 0), computed)), _read_only(np.zeros(n, bool))),
        unfilled=_read_only(np.zeros(0, given)),
    )


def _lies_like(form: _Form, own: _Form, place: str | None) -> bool:
    """Whether images can be read or written by the loops beside the base samples."""
    known = form.lies == "plain" or (form.lies == "moved" and place == "first")
    same = form.shape[1:] == own.shape[1:] and form.lies == own.lies
    return known and same and form.sound


def _spatial(shape: Shape, place: str | None) -> Shape:
    return {"first": shape[2:], "last": shape[1:-1], None: shape[1:]}[place]


def _fits(held: Mapping[str, tuple[Any, Shape]], sources: int, n: int, size: Shape) -> bool:
    """Whether arrays are of the shapes and dtypes that a region has: the loops look no further."""
    each, box = ((sources, n),), ((n, len(size), 2),)
    shapes = {"index": each, "background": each, "weight": ((sources, n, *size),), "fill": ((n,), (n, *size))}
    known = {"background": "f", "weight": "fb", "fill": "f"}
    views = {f"{part}_{j}" for part in ("box", "source_box") for j in range(sources)}
    return (
        sources > 0
        and held.keys() <= shapes.keys() | views | {"hole"}
        and ("fill" in held or "hole" not in held)
        and all(
            shape in shapes.get(name, box) and dtype.itemsize in (4, 1) and dtype.kind in known.get(name, "i")
            for name, (dtype, shape) in held.items()
        )
    )


def _fresh(plan: _Plan, dtype: str) -> Host:
    """Memory for the outputs, which lie as the images do."""
    shape = (plan.out[0], *plan.out[2:], plan.out[1]) if plan.moved else plan.out
    kind = plan.made if dtype == "bfloat16" else np.dtype(dtype)
    made = memory(prod(shape) * kind.itemsize).view(kind).reshape(shape)
    return np.moveaxis(made, -1, 1) if plan.moved else made


def _line(x: Host, plan: _Plan, bits: Any) -> Host:
    """All elements in one line."""
    return (np.moveaxis(x, 1, -1) if plan.moved else x).reshape(-1).view(bits)


def _weights(background: Host, dtype: Any) -> Host:
    """The weights of a blend in the dtype that it is computed in: whole numbers of 2^-16 for integers."""
    if dtype != np.int32:
        return background.astype(dtype, copy=False)
    whole = np.rint(background * np.float32(ONE)).astype(np.int32)
    whole[0] = ONE - whole[1:].sum(axis=0)
    return whole


def _filling(fill: Host, plan: _Plan) -> Host:
    """What is in holes, (n * elements of a line,), or of a plane where it differs from pixel to pixel."""
    if plan.name == "bfloat16":
        word = fill.view(np.uint32)
        rounded = ((word + np.uint32(0x7FFF) + (word >> 16 & 1)) >> 16).astype(np.uint16)  # to nearest, ties to even
    else:
        rounded = (np.clip(np.rint(fill), 0, 255) if plan.name == "uint8" else fill).astype(plan.name)
    *_, width, step = plan.shape
    return _read_only(np.repeat(rounded.reshape(-1), width * step if fill.ndim == 1 else step).view(plan.given))


def _converted(units: Units, plan: _Plan) -> tuple[Host | None, Host | None] | None:
    """Scale and offset along a run of pixels, for each plane; None where the host does not see them."""
    if units.scale is None:
        return None, None
    numbers = [_xp.of(number).as_numpy(number) for number in (units.scale, units.offset)]
    if any(number is None for number in numbers):
        return None
    planes, step = plan.shape[0], plan.shape[4] // plan.spread
    scale, offset = (
        _pattern(np.asarray(number, plan.computed).tobytes(), planes, step, plan.spread, plan.chunk, plan.computed)
        for number in numbers
    )
    return scale, offset


@lru_cache(maxsize=64)
def _pattern(numbers: bytes, planes: int, step: int, spread: int, length: int, dtype: Any) -> Host:
    each = np.repeat(np.broadcast_to(np.frombuffer(numbers, dtype), planes if planes > 1 else step), spread)
    along = length + step * spread
    made = np.repeat(each, along) if planes > 1 else np.resize(each, along)
    made.flags.writeable = False
    return made
