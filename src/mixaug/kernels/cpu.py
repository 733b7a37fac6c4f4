"""Fast path on the CPU: mixes arrays in place in their memory, with kernels that Numba compiles.

It handles valid, contiguous inputs and returns None otherwise; then `apply` validates them and falls back. Which inputs
are handled, and how, depends only on dtypes, shapes and strides; `_plan` caches the answer.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import lcm, prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array, Library
from ..core.keys import ONE
from ..core.regions import Region, Size, stacked
from ..core.rows import Rows
from ..core.units import Target, Units
from .forms import Calls, Frame, Numbers, Pixels, RegionArrays, Sources, State
from .pool import memory

Host: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]

_BITS = {"float16": np.dtype(np.int16), "bfloat16": np.dtype(np.uint16)}  # Numba has no type for them
_SMALL = 4096  # elements: smaller images without boxes are mixed as one line, wherever their channels are
_BAND = 16896  # elements of an output that are made before the next output is begun
_TILE = 1536  # elements that are summed at once, so that the sums stay in the first cache
_PIECE = 6144  # bytes that are read and written at once if outputs are stored past the caches
_LINE = 64  # bytes of a line of the caches
_STREAM = 8 << 20  # bytes: larger outputs do not fit the caches, and are stored past them
_MOST_CLASSES = 2**24  # more are refused by `apply`


class _Form(NamedTuple):
    """What is known of images without a look at their pixels."""

    name: str  #: of the dtype, in their library
    bits: str  #: NumPy's word for what they lie there as; its own dtypes are new ones in each array, and slow to hash
    shape: Shape
    lies: str  #: "plain", "moved" where channels that are named first lie last, as in channels_last, or "gaps"
    sound: bool  #: whether numbers are aligned, and their bytes in the order of this machine
    writeable: bool


class _Plan(NamedTuple):
    """How images of these forms are mixed."""

    kind: str  #: which kernel makes a band: "paste", "windows", "choose" or "weigh"
    out: Shape  #: the shape of the outputs
    frame: Frame
    spread: int  #: consecutive elements that belong to one channel
    moved: bool  #: whether the layout says channels first but the memory has them last, as in channels_last
    name: str  #: the dtype of the images
    dtype_in: Any  #: the NumPy type with their bits
    dtype_out: Any  #: the NumPy type with the bits of the outputs
    computed: Any  #: the NumPy type of sums
    plain: bool  #: whether there is no scale and no offset
    copied: bool  #: whether elements that are not blended are copied unchanged
    streamed: bool  #: whether outputs are stored past the caches
    spans: int  #: the largest number of spans of a tile
    boxes: tuple[str, ...]  #: the names of the boxes; in a Dense, one for each source if any has a source box
    source_boxes: tuple[str, ...]  #: the names of their source boxes; empty if no box has one
    coloured: bool  #: whether each channel has a fill of its own
    who: Host  #: int64, the source of each box; -1 for a hole
    moved_boxes: Host  #: bool, whether the box has a source box


def images(xp: Library, samples: Rows, region: Region, target: Target, size: Size | None = None) -> Array | None:
    """The mixed images; None where they are traced, need a gradient, are wrong, or of a form that no kernel takes.

    The region is of the images' size, its source boxes too; or its boxes are of another `size`, that of the outputs,
    and all sources are seen through them.
    """
    (x, source, index), (place, units, out) = samples, target
    given: Array = source if x is None else x
    rows, into = xp.as_numpy(given), None if out is None else xp.as_numpy(out)
    others = rows if source is None or source is given else xp.as_numpy(source)
    if rows is None or others is None or (out is not None and into is None) or backends.is_compiling():
        return None
    held = _on_host({"index": index} | region.arrays())
    held = held and _apart(held)
    plan = held and _plan(
        region.sources,
        place,
        _form(xp, given, rows),
        None if others is rows else _form(xp, source, others),
        None if into is None else _form(xp, out, into),
        units.dtype,
        units.scale is None,
        x is None,
        size,
        tuple([(name, array.dtype.char, array.shape) for name, array in held.items()]),
    )
    converted = plan and _converted(units, plan.frame, plan.spread, plan.computed)
    if not held or not plan or not converted:
        return None
    if into is None:
        into = _fresh(plan, units.dtype)
    elif np.may_share_memory(into, rows) or np.may_share_memory(into, others):
        return None
    if not _run(plan, into, (rows, others), (x is None, source is None), held, converted):
        return None
    return xp.from_numpy(into, units.dtype) if out is None else xp.written(out)


def _run(
    plan: _Plan,
    into: Host,
    given: tuple[Host, Host],
    how: tuple[bool, bool],
    held: Mapping[str, Host],
    converted: tuple[Host, Host],
) -> bool:
    """Write the outputs; return False, with nothing written, without Numba or if a source is not a row."""
    tiles = backends.kernels("mixaug.kernels.tiles")
    if tiles is None:
        return False
    frame, (k, n) = plan.frame, held["index"].shape
    own = _line(given[0], plan)
    source = own if given[1] is given[0] else _line(given[1], plan)
    blended, summed = k > 1 and "background" in held, plan.kind == "weigh" or k > 2
    pixels = Pixels(
        out=_line(into, plan),
        own=_read_only(own),
        source=_read_only(source),
        filling=_filling(held["fill"], plan) if "fill" in held else _NO_BYTES,
        tile=_NO_SCRATCH
        if plan.copied and not blended and plan.kind != "weigh"
        else _scratch(frame.tile * frame.size_in),
        buffer=_scratch(2 * frame.tile * frame.size_out) if plan.streamed else _NO_SCRATCH,
        pending=np.zeros(3, np.int64),
    )
    rows = source.size // (frame.source_row * frame.size_in)
    sources = Sources(held["index"], *how, rows, _scratch((2, n), np.int64))
    numbers = Numbers(
        *converted,
        work=_scratch(frame.tile, plan.computed).view(np.uint8) if summed else _NO_SCRATCH,
        spread=_scratch(frame.tile, np.float32) if plan.kind == "weigh" else _NO_FLOATS,
        line=_scratch(frame.tile, np.float32) if plan.kind == "weigh" else _NO_FLOATS,
        place=_scratch(k, np.int64) if blended else _NO_PLACES[0],
        weight=_scratch(k, np.float32) if blended else _NO_FLOATS,
    )
    needs = plan.copied, plan.plain, blended, bool(plan.source_boxes), plan.streamed
    calls = _calls(plan.kind, plan.dtype_in, plan.dtype_out, plan.computed, needs)
    return bool(tiles.mix(State(pixels, sources, _region(plan, held), frame, numbers, calls)))


@lru_cache(maxsize=256)
def _calls(kind: str, given: Any, made: Any, computed: Any, needs: tuple[bool, ...]) -> Calls:
    """Return the addresses of the kernels that are needed, and compile those that are new."""
    numbers, tiles = backends.kernels("mixaug.kernels.numbers"), backends.kernels("mixaug.kernels.tiles")
    copied, plain, blended, picked, streamed = needs
    bits = np.dtype(f"u{given().itemsize}").type
    dtypes = given, made, computed
    return Calls(
        make=getattr(tiles, kind).address,
        store=tiles.store.address if streamed else 0,
        pick=numbers.pick(bits).address if picked else 0,
        convert=0 if copied or kind == "weigh" else numbers.convert(*dtypes).address,
        blend=numbers.blend(*dtypes, plain).address if blended else 0,
        weigh=numbers.weigh(given, computed).address if kind == "weigh" else 0,
        finish=numbers.finish(made, computed, plain).address if kind == "weigh" else 0,
    )


def _region(plan: _Plan, held: Mapping[str, Host]) -> RegionArrays:
    """Return the arrays of a region as the kernels take them."""
    (k, n), boxes = held["index"].shape, bool(plan.boxes)
    background, blended = _NO_WEIGHTS[0], _unblended(n)
    if "background" in held and k > 1:
        background, blended = _weights(held["background"], plan), _read_only(held["background"][0] != 1)
    box = source_box = _stacked(held, plan.boxes, n)
    if plan.source_boxes:
        source_box = _stacked(held, plan.source_boxes, n)
    weight = held["weight"].reshape(k, n, -1) if "weight" in held else None
    return RegionArrays(
        background=background,
        blended=blended,
        box=box,
        source_box=source_box,
        who=plan.who,
        moved=plan.moved_boxes,
        mask=weight if weight is not None and plan.kind == "choose" else _NO_MASK,
        weight=weight if weight is not None and plan.kind == "weigh" else _NO_WEIGHTS,
        column=np.full((len(plan.boxes), plan.frame.width + 1), -1, np.int64) if plan.source_boxes else _NO_PLACES,
        span=_scratch((plan.spans, 6), np.int64) if boxes or plan.kind != "paste" else _NO_PLACES,
    )


@lru_cache(maxsize=64)
def _unblended(n: int) -> Host:
    return _read_only(np.zeros(n, bool))


def _scratch(shape: Any, dtype: Any = np.uint8) -> Host:
    return np.empty(shape, dtype)


def _stacked(held: Mapping[str, Host], names: tuple[str, ...], n: int) -> Host:
    """Boxes as the kernels take them; those of a source that has none are of another, and not looked at."""
    some = next((held[name] for name in names if name in held), None)
    return _read_only(stacked([held.get(name, some) for name in names], n, 1))


def labels(xp: Library, y: Array, source: Array | None, index: Array, lam: Array, num_classes: Any) -> Array | None:
    """Shares of classes, float32 (n, num_classes), of ids (n,); None where they are traced, or anything is wrong."""
    count = _count(num_classes)
    if not count or len(y.shape) != 1 or "int" not in xp.dtype(y) or backends.is_compiling():
        return None
    held = _on_host({"own": y, "index": index, "lam": lam} | ({} if source is None else {"source": source}))
    classes = None if held is None else backends.kernels("mixaug.kernels.classes")
    if held is None or classes is None or not _are_labels(held):
        return None
    made = np.zeros((len(held["own"]), count), np.float32)
    right = classes.labels(made, held["own"], held.get("source", held["own"]), held["index"], held["lam"])
    return xp.from_numpy(made, "float32") if right else None


def _count(num_classes: Any) -> int:
    """How many classes there are; 0 of what is no number of some."""
    whole = hasattr(num_classes, "__index__") and not isinstance(num_classes, bool)
    count = operator.index(num_classes) if whole else 0
    return count if 0 < count <= _MOST_CLASSES else 0


def _are_labels(held: Mapping[str, Host]) -> bool:
    own, index, lam = held["own"], held["index"], held["lam"]
    source = held.get("source", own)
    return (
        (index.shape, index.dtype, lam.dtype) == (lam.shape, np.int32, np.float32)
        and own.shape == index.shape[1:]
        and (source.ndim, source.dtype) == (1, own.dtype)
    )


def _on_host(arrays: Mapping[str, Array]) -> dict[str, Host] | None:
    """Views of all, read-only; None where one is not to be had."""
    held = {}
    for name, array in arrays.items():
        view = array if type(array) is np.ndarray else backends.of(array).as_numpy(array)
        if view is None or not view.dtype.isnative:
            return None
        held[name] = _read_only(np.ascontiguousarray(view))
    return held


def _apart(held: dict[str, Host]) -> dict[str, Host]:
    """The same arrays, each of several holes by itself."""
    hole = held.get("hole")
    if hole is None or hole.ndim != 4:
        return held
    apart = {f"hole_{h}": hole[:, h] for h in range(hole.shape[1])}
    return {name: array for name, array in held.items() if name != "hole"} | apart


def _holes(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith("hole")]


def _read_only(x: Host) -> Host:
    """A view that the kernels know as one that they must not write to."""
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
    resized: Size | None,
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
        resized: the size of the outputs, where it is another than that of the images.
        arrays: name, dtype and shape of those that the region holds, and of the sources.
    """
    held = {name: (np.dtype(char), shape) for name, char, shape in arrays}
    n, given_size = held["index"][1][-1], _spatial(own.shape, place)
    size = given_size if resized is None else resized
    made = (n, *_around(own.shape, place, size))
    if (
        not _fits(held, sources, n, size, {"first": own.shape[1], "last": own.shape[-1], None: 1}[place])
        or not (1 <= len(size) <= 3 and 0 not in made)
        or not (gathered or own.shape[0] == n)
        or not all(_lies_like(form, own, place) for form in (own, source or own))
        or not (out is None or _lies_like(out._replace(shape=own.shape), own, place))
        or not (resized is None or _is_windows(held, len(given_size), size))
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
    sides, row, spread = (*(1,) * (3 - len(size)), *size), prod(made[1:]), 1
    sides_in = (*(1,) * (3 - len(size)), *given_size)
    if planes > 1 and held.keys() <= {"index", "background"} and row <= _SMALL:
        planes, sides, step, spread = 1, (1, 1, 1), row, prod(size)
    kind = "paste"
    if "weight" in held:
        kind = "choose" if held["weight"][0].kind == "b" else "weigh"
    streamed = prod(made) * into.itemsize >= _STREAM
    summed = kind == "weigh" or ("background" in held and sources > 2)
    band, tile = _lengths(step, row, given.itemsize, into.itemsize, streamed, summed)
    apart = planes > 1 and (kind == "weigh" or not plain)
    frame = Frame(
        planes=planes,
        depth=sides[0],
        height=sides[1],
        width=sides[2],
        step=step,
        row=row,
        unit=row // planes if apart else row,
        along=tile if apart else 0,
        band=band,
        tile=tile,
        size_in=given.itemsize,
        size_out=into.itemsize,
        source_depth=sides_in[0],
        source_height=sides_in[1],
        source_width=sides_in[2],
        source_row=prod(own.shape[1:]),
        whole=computed is np.int32,
        resized=resized is not None,
    )
    shown = tuple(j for j in range(sources) if f"box_{j}" in held or kind != "paste")
    windows, holes = [f"source_box_{j}" in held for j in shown], _holes(held)
    boxes = (*(f"box_{j}" for j in shown), *holes) if any(windows) or kind == "paste" else ()
    source_boxes = tuple(
        source_box if (source_box := name.replace("box", "source_box")) in held else name for name in boxes
    )
    lines = tile // (sides[2] * step) + 2
    return _Plan(
        kind="windows" if resized is not None and kind == "paste" else kind,
        out=made,
        frame=frame,
        spread=spread,
        moved=moved,
        name=own.name,
        dtype_in=given.type,
        dtype_out=into.type,
        computed=computed,
        plain=plain,
        copied=given == into and plain and own.name == wanted,
        streamed=streamed,
        spans={"paste": len(boxes) * lines, "choose": tile // step, "weigh": lines}[kind],
        boxes=boxes,
        source_boxes=source_boxes if any(windows) else (),
        coloured="fill" in held and len(held["fill"][1]) == 2 + len(size),
        who=np.array([*shown, *(-1 for _ in holes)], np.int64) if boxes else np.zeros(0, np.int64),
        moved_boxes=np.array([*windows, *(False for _ in holes)], bool) if boxes else np.zeros(0, bool),
    )


def _lengths(step: int, row: int, size_in: int, size_out: int, streamed: bool, summed: bool) -> tuple[int, int]:
    """Return the elements of a band and of a tile: whole pixels, and if they are streamed, whole cache lines."""
    unit, most = step, _TILE if summed else _BAND
    if streamed:
        whole_lines = lcm(step, _LINE // size_out)
        unit, most = whole_lines if whole_lines <= _BAND else step, _PIECE // (size_in + size_out)
    tile = max(1, min(most, row) // unit) * unit
    return max(1, _BAND // tile) * tile, tile


def _lies_like(form: _Form, own: _Form, place: str | None) -> bool:
    """Whether images can be read or written by the kernels beside the base samples."""
    known = form.lies == "plain" or (form.lies == "moved" and place == "first")
    same = form.shape[1:] == own.shape[1:] and form.lies == own.lies
    return known and same and form.sound


def _around(shape: Shape, place: str | None, size: Shape) -> Shape:
    """The shape of one image of another size."""
    return {"first": (shape[1], *size), "last": (*size, shape[-1]), None: size}[place]


def _is_windows(held: Mapping[str, Any], axes: int, size: Shape) -> bool:
    """Whether a region shows its sources through source boxes alone, the base sample among them."""
    views = [name for name in held if name.startswith("box_")]
    shown = all(f"source_{name}" in held for name in ["box_0", *views])
    return shown and "box_0" in held and not held.keys() & {"background", "weight"} and len(size) == axes


def _spatial(shape: Shape, place: str | None) -> Shape:
    return {"first": shape[2:], "last": shape[1:-1], None: shape[1:]}[place]


def _fits(held: Mapping[str, tuple[Any, Shape]], sources: int, n: int, size: Shape, channels: int) -> bool:
    """Whether arrays are of the shapes and dtypes that a region has: the kernels look no further."""
    each, box = ((sources, n),), ((n, len(size), 2),)
    fills = ((n, *spatial, c) for spatial in (size, (1,) * len(size)) for c in (1, channels))
    shapes = {"index": each, "background": each, "weight": ((sources, n, *size),), "fill": ((n,), (n, *size), *fills)}
    known = {"background": "f", "weight": "fb", "fill": "f"}
    views, holes = {f"{part}_{j}" for part in ("box", "source_box") for j in range(sources)}, _holes(held)
    return (
        sources > 0
        and held.keys() <= shapes.keys() | views | {*holes}
        and ("fill" in held or not holes)
        and all(
            shape in shapes.get(name, box) and dtype.itemsize in (4, 1) and dtype.kind in known.get(name, "i")
            for name, (dtype, shape) in held.items()
        )
    )


def _fresh(plan: _Plan, dtype: str) -> Host:
    """Memory for the outputs, which lie as the images do."""
    shape = (plan.out[0], *plan.out[2:], plan.out[1]) if plan.moved else plan.out
    kind = np.dtype(plan.dtype_out if dtype == "bfloat16" else dtype)
    made = memory(prod(shape) * kind.itemsize).view(kind).reshape(shape)
    return np.moveaxis(made, -1, 1) if plan.moved else made


def _line(x: Host, plan: _Plan) -> Host:
    """Return the bytes of all elements, in the order of the memory."""
    return (np.moveaxis(x, 1, -1) if plan.moved else x).reshape(-1).view(np.uint8)


def _weights(background: Host, plan: _Plan) -> Host:
    """Return the weights of a blend; in integer arithmetic, whole numbers of 2^-16."""
    if not plan.frame.whole:
        return background
    whole = np.rint(background * np.float32(ONE))
    whole[0] = ONE - whole[1:].sum(axis=0)
    return _read_only(whole)


def _filling(fill: Host, plan: _Plan) -> Host:
    """Return the bytes of the fill: a line for each output, a plane if it differs between pixels, or a whole image."""
    if plan.name == "bfloat16":
        word = fill.view(np.uint32)
        rounded = ((word + np.uint32(0x7FFF) + (word >> 16 & 1)) >> 16).astype(np.uint16)  # to nearest, ties to even
    else:
        rounded = (np.clip(np.rint(fill), 0, 255) if plan.name == "uint8" else fill).astype(plan.name)
    frame = plan.frame
    if plan.coloured:
        return _read_only(_coloured(rounded, frame).view(np.uint8))
    each = frame.width * frame.step if fill.ndim == 1 else frame.step
    return _read_only(np.repeat(rounded.reshape(-1), each).view(np.uint8))


def _coloured(fill: Host, frame: Frame) -> Host:
    """Return the elements of a fill (n, *size, c): a line for each output, or a whole image."""
    n, *size = fill.shape[:-1]
    if frame.planes == 1 and max(size) == 1:
        shape: Shape = (n, *size[1:], frame.width, frame.step)
    else:
        sides = (frame.depth, frame.height, frame.width)[-len(size) :]
        shape = (n, *sides, frame.step) if frame.planes == 1 else (n, frame.planes, *sides)
        fill = fill if frame.planes == 1 else np.moveaxis(fill, -1, 1)
    return np.ascontiguousarray(np.broadcast_to(fill, shape)).reshape(-1)


def _converted(units: Units, frame: Frame, spread: int, dtype: Any) -> tuple[Host, Host] | None:
    """Return the bytes of scale and offset along a tile, for each plane; None if they are traced."""
    if units.scale is None:
        return _unscaled(frame.tile * (frame.planes if frame.along else 1), dtype)
    return _scaled(units, frame, spread, dtype)


@lru_cache(maxsize=64)
def _unscaled(length: int, dtype: Any) -> tuple[Host, Host]:
    one, none = (np.full(length, number, dtype).view(np.uint8) for number in (1, -0.0))
    return _read_only(one), _read_only(none)  # adding -0.0 changes no number, not even -0.0


@lru_cache(maxsize=64)
def _scaled(units: Units, frame: Frame, spread: int, dtype: Any) -> tuple[Host, Host] | None:
    numbers = [backends.of(number).as_numpy(number) for number in (units.scale, units.offset)]
    if any(number is None for number in numbers):
        return None
    scale, offset = (_pattern(np.asarray(number, dtype), frame, spread) for number in numbers)
    return scale, offset


def _pattern(numbers: Host, frame: Frame, spread: int) -> Host:
    planes = frame.planes if frame.along else 1
    each = np.repeat(np.broadcast_to(numbers, planes if planes > 1 else frame.step // spread), spread)
    made = np.repeat(each, frame.tile) if planes > 1 else np.resize(each, frame.tile)
    return _read_only(made.view(np.uint8))


_NO_BYTES = _read_only(np.zeros(0, np.uint8))
_NO_SCRATCH, _NO_FLOATS, _NO_PLACES = np.empty(0, np.uint8), np.empty(0, np.float32), np.empty((1, 0), np.int64)
_NO_MASK, _NO_WEIGHTS = _read_only(np.zeros((1, 0, 0), bool)), _read_only(np.zeros((1, 0, 0), np.float32))
