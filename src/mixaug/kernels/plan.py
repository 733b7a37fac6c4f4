"""How images of some dtypes, shapes and strides are mixed on the CPU: worked out once, and cached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import lcm, prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array, Library
from ..core.regions import Size
from .forms import BOX, SPAN, STATE, Box, State

Host: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]

_BITS = {"float16": np.dtype(np.int16), "bfloat16": np.dtype(np.uint16)}  # Numba has no type for them
_SMALL = 4096  # elements: smaller images without boxes are mixed as one line, wherever their channels are
BAND = 16896  #: elements of an output that are made before the next output is begun
_TILE = 1536  # elements that are summed at once, so that the sums stay in the first cache
_PIECE = 6144  # bytes that are read and written at once if outputs are stored past the caches
_LINE = 64  # bytes of a line of the caches
STREAM = 8 << 20  #: bytes: larger outputs do not fit the caches, and are stored past them


class ArrayForm(NamedTuple):
    """What is known of images without a look at their pixels."""

    name: str  #: of the dtype, in their library
    bits: str  #: NumPy's word for what they lie there as; its own dtypes are new ones in each array, and slow to hash
    shape: Shape
    lies: str  #: "plain", "moved" where channels that are named first lie last, as in channels_last, or "gaps"
    sound: bool  #: whether numbers are aligned, and their bytes in the order of this machine
    writeable: bool

    @classmethod
    def of(cls, xp: Library, x: Array, view: Host) -> ArrayForm:
        """The form of an array, of which `view` is the memory."""
        flags, dtype, lies = view.flags, view.dtype, "plain"
        if not flags.c_contiguous:
            lies = "moved" if view.ndim > 2 and np.moveaxis(view, 1, -1).flags.c_contiguous else "gaps"
        return cls(xp.dtype(x), dtype.str, view.shape, lies, flags.aligned and dtype.isnative, flags.writeable)


class Call(NamedTuple):
    """All that a plan depends on."""

    own: ArrayForm  #: of the base samples; of the source if they are rows of that
    source: ArrayForm | None  #: None if the sources are rows of the same array
    out: ArrayForm | None  #: None for fresh memory
    gathered: bool  #: whether the base samples are rows of the source
    chained: bool  #: whether the source is the batch
    place: str | None  #: where the channels are: "first", "last" or None
    dtype: str  #: of the outputs
    plain: bool  #: whether there is no scale and no offset
    size: Size | None  #: of the outputs, if it is another than that of the images
    sources: int  #: that the region has
    arrays: tuple[tuple[str, str, Shape], ...]  #: name, dtype and shape of the index and the arrays of the region


class _Work(NamedTuple):
    """What has to be done, which says which kernels and which scratch memory that takes."""

    kind: str  #: the kernel that makes a band: "paste", "windows", "choose" or "weigh"
    dtype_in: Any  #: the NumPy type with the bits of the images
    dtype_out: Any  #: and of the outputs
    computed: Any  #: the NumPy type of sums
    plain: bool  #: whether there is no scale and no offset
    copied: bool  #: whether elements that are not blended are copied unchanged
    blended: bool  #: whether there are blends of whole sources
    moved: bool  #: whether boxes have source boxes
    streamed: bool  #: whether outputs are stored past the caches


class KernelPlan(NamedTuple):
    """How images are mixed."""

    state: State
    numbers: Host  #: int64, the state and its boxes
    length: int  #: of an array of int64 with room for these and for scratch memory
    shape: Shape  #: of the outputs
    moved: bool  #: whether the layout says channels first but the memory has them last, as in channels_last
    name: str  #: the dtype of the images
    dtype_out: Any  #: the NumPy type with the bits of the outputs
    computed: Any  #: the NumPy type of sums
    spread: int  #: consecutive elements that belong to one channel
    boxes: tuple[str, ...]  #: the names of the boxes, and after them those of their source boxes if there are any
    weight: str  #: the name of the weights of sources; empty without


@lru_cache(maxsize=1024)
def plan(request: Call) -> KernelPlan | None:
    """The plan for a request; None if the arrays do not fit one another, or if no kernel takes them."""
    arrays = {name: (np.dtype(char), shape) for name, char, shape in request.arrays}
    own, place = request.own, request.place
    n, source_size = arrays["index"][1][-1], _spatial(own.shape, place)
    size = source_size if request.size is None else request.size
    shape = (n, *_around(own.shape, place, size))
    channels = {"first": own.shape[1], "last": own.shape[-1], None: 1}[place]
    if (
        not (_agree(request, shape) and _fits(arrays, request.sources, n, size, channels))
        or not (1 <= len(size) <= 3 and 0 not in shape)
        or not (request.size is None or _is_windows(arrays, len(source_size), size))
    ):
        return None
    work = _work(request, arrays, prod(shape))
    boxes, table = _boxes(arrays, request.sources, work)
    layout, spread = _layout(request, arrays.keys(), size)
    tiles = _tiles(layout, work, summed=work.kind == "weigh" or (work.blended and request.sources > 2))
    state = State(
        sources=request.sources,
        n=n,
        rows=(request.source or own).shape[0],
        gathered=request.gathered,
        chained=request.chained,
        axes=len(size),
        box_count=len(table),
        source_row=prod(own.shape[1:]),
        size_in=work.dtype_in().itemsize,
        size_out=work.dtype_out().itemsize,
        whole=work.computed is np.int32,
        resized=request.size is not None,
        **layout,
        **tiles,
        **_kernels(work),
    )
    sides = dict(zip(("source_depth", "source_height", "source_width"), _sides(source_size), strict=True))
    filling_row = _filling_row(arrays["fill"][1], state, len(size)) if "fill" in arrays else 0
    state, length = _with_scratch(state._replace(**sides, filling_row=filling_row), work)
    return KernelPlan(
        state=state,
        numbers=np.array([*state, *(number for box in table for number in box)], np.int64),
        length=length,
        shape=shape,
        moved=own.lies == "moved",
        name=own.name,
        dtype_out=work.dtype_out,
        computed=work.computed,
        spread=spread,
        boxes=boxes,
        weight="weight" if "weight" in arrays else "background" if work.blended else "",
    )


def _work(request: Call, arrays: Mapping[str, tuple[Any, Shape]], elements: int) -> _Work:
    name, dtype = request.own.name, request.dtype
    dtype_in, dtype_out = (_BITS.get(one) or np.dtype(one) for one in (name, dtype))
    computed: Any = np.float64 if name == "float64" else np.float32
    kind = "paste" if request.size is None else "windows"
    if "weight" in arrays:
        kind = "choose" if arrays["weight"][0].kind == "b" else "weigh"
    return _Work(
        kind=kind,
        dtype_in=dtype_in.type,
        dtype_out=dtype_out.type,
        computed=np.int32 if name == dtype == "uint8" and request.plain else computed,
        plain=request.plain,
        copied=request.plain and name == dtype,
        blended="background" in arrays and request.sources > 1,
        moved=any(name.startswith("source_box") for name in arrays),
        streamed=elements * dtype_out.itemsize >= STREAM,
    )


def _boxes(arrays: Iterable[str], sources: int, work: _Work) -> tuple[tuple[str, ...], list[Box]]:
    """Return the names of the boxes and of their source boxes, and their table. A Dense has one of each source."""
    names = {*arrays}
    shown = [j for j in range(sources) if f"box_{j}" in names or work.kind in ("choose", "weigh")]
    if work.kind in ("choose", "weigh") and not work.moved:
        return (), []
    holes = sorted(name for name in names if name.startswith("hole"))
    boxes = [f"box_{j}" for j in shown] + holes
    moved = [f"source_{name}" in names for name in boxes]
    whos = [*shown, *[-1] * len(holes)]
    table = [Box(who=who, moved=is_moved) for who, is_moved in zip(whos, moved, strict=True)]
    views = [f"source_{name}" if is_moved else name for name, is_moved in zip(boxes, moved, strict=True)]
    return (*boxes, *(views if work.moved else ())), table


def _sides(size: Shape) -> Shape:
    return (*(1,) * (3 - len(size)), *size)


def _layout(request: Call, names: Iterable[str], size: Shape) -> tuple[dict[str, int], int]:
    """Return how an output lies in memory, and how many consecutive elements belong to one channel."""
    own, first = request.own, request.place == "first"
    moved, sides, spread = own.lies == "moved", _sides(size), 1
    planes = own.shape[1] if first and not moved else 1
    step = own.shape[1] if moved else own.shape[-1] if request.place == "last" else 1
    row = planes * step * prod(size)
    if planes > 1 and {*names} <= {"index", "background"} and row <= _SMALL:
        planes, sides, step, spread = 1, (1, 1, 1), row, prod(size)
    layout = {"planes": planes, "depth": sides[0], "height": sides[1], "width": sides[2], "step": step, "row": row}
    return layout, spread


def _tiles(layout: Mapping[str, int], work: _Work, *, summed: bool) -> dict[str, int]:
    """Return the elements of a band and of a tile: whole pixels, and if they are streamed, whole cache lines.

    Planes have patterns of scales of their own where elements are scaled, or summed with a weight for each pixel.
    """
    step, row, planes = layout["step"], layout["row"], layout["planes"]
    size_in, size_out = work.dtype_in().itemsize, work.dtype_out().itemsize
    unit, most = step, _TILE if summed else BAND
    if work.streamed:
        whole_lines = lcm(step, _LINE // size_out)
        unit, most = whole_lines if whole_lines <= BAND else step, _PIECE // (size_in + size_out)
    tile = max(1, min(most, row) // unit) * unit
    apart = planes > 1 and (work.kind == "weigh" or not work.plain)
    return {
        "unit": row // planes if apart else row,
        "along": tile if apart else 0,
        "band": max(1, BAND // tile) * tile,
        "tile_length": tile,
    }


def _kernels(work: _Work) -> dict[str, int]:
    """Return the addresses of the kernels that are needed, and compile those that are new."""
    numbers, tiles = backends.kernels("mixaug.kernels.numbers"), backends.kernels("mixaug.kernels.tiles")
    dtype_in, dtype_out, computed, plain = work.dtype_in, work.dtype_out, work.computed, work.plain
    kernels = {"make": getattr(tiles, work.kind)}
    if work.streamed:
        kernels["store"] = tiles.store
    if work.moved:
        kernels["shift"] = backends.kernels("mixaug.kernels.spans").shift
        kernels["pick"] = numbers.pick(np.dtype(f"u{dtype_in().itemsize}").type)
    if work.kind == "weigh":
        kernels |= {"add": numbers.add(dtype_in, computed), "finish": numbers.finish(dtype_out, computed, plain)}
    elif not work.copied:
        kernels["convert"] = numbers.convert(dtype_in, dtype_out, computed)
    if work.blended:
        kernels["mixed"] = tiles.mixed
        kernels["blend"] = numbers.blend(dtype_in, dtype_out, computed, plain)
    return {name: kernel.address for name, kernel in kernels.items()}


def _with_scratch(state: State, work: _Work) -> tuple[State, int]:
    """Return the state with the places of its scratch memory, and the length of the array of int64 that holds both."""
    lines = state.tile_length // (state.width * state.step) + 2
    spans = {"choose": state.tile_length // state.step, "weigh": lines}.get(work.kind, state.box_count * lines + lines)
    weighs, summed = work.kind == "weigh", work.kind == "weigh" or state.sources > 2
    sizes = {  # bytes
        "boxes": state.box_count * BOX.itemsize,
        "order": 2 * state.n * 8,
        "span": spans * SPAN.itemsize,
        "column": state.box_count * state.width * 8 if work.moved else 0,
        "tile": 0 if work.copied and not (work.blended or weighs) else state.tile_length * state.size_in,
        "buffer": 2 * state.tile_length * state.size_out if work.streamed else 0,
        "work": state.tile_length * np.dtype(work.computed).itemsize if summed else 0,
        "spread": state.tile_length * 4 if weighs else 0,
        "line": state.tile_length * 4 if weighs else 0,
        "place": state.sources * 8,
        "share": state.sources * 4,
    }
    places, end = {}, STATE.itemsize
    for name, size in sizes.items():
        places[name] = end
        end += size if name == "boxes" else -(-size // _LINE) * _LINE
    return state._replace(**places), -(-end // 8)


def _filling_row(shape: Shape, state: State, axes: int) -> int:
    """Return how many elements of the fill an output has: those of a line, a plane, or an image if channels differ."""
    if len(shape) == 1:
        return state.width * state.step
    if len(shape) == 1 + axes:
        return prod(shape[1:]) * state.step
    if state.planes == 1 and max(shape[1:-1]) == 1:
        return state.width * state.step
    return state.row


def _agree(request: Call, shape: Shape) -> bool:
    """Whether images, and the memory for outputs of that shape, have dtypes, shapes and strides that fit together."""
    own, source, out = request.own, request.source, request.out
    return (
        (request.gathered or own.shape[0] == shape[0])
        and all(_lies_like(form, own, request.place) for form in (own, source or own))
        and (source is None or source[:2] == own[:2])
        and (out is None or _lies_like(out._replace(shape=own.shape), own, request.place))
        and (out is None or (out.name, out.shape, out.writeable) == (request.dtype, shape, True))
        and (request.dtype in ("float32", "float64") if own.name == "float64" else request.dtype != "float64")
    )


def _lies_like(form: ArrayForm, own: ArrayForm, place: str | None) -> bool:
    """Whether images can be read or written by the kernels beside the base samples."""
    known = form.lies == "plain" or (form.lies == "moved" and place == "first")
    same = form.shape[1:] == own.shape[1:] and form.lies == own.lies
    return known and same and form.sound


def _around(shape: Shape, place: str | None, size: Shape) -> Shape:
    """The shape of one image of another size."""
    return {"first": (shape[1], *size), "last": (*size, shape[-1]), None: size}[place]


def _is_windows(names: Iterable[str], axes: int, size: Shape) -> bool:
    """Whether a region shows its sources through source boxes alone, the base sample among them."""
    names = {*names}
    shown = all(f"source_{name}" in names for name in ["box_0", *(one for one in names if one.startswith("box_"))])
    return shown and "box_0" in names and not names & {"background", "weight"} and len(size) == axes


def _spatial(shape: Shape, place: str | None) -> Shape:
    return {"first": shape[2:], "last": shape[1:-1], None: shape[1:]}[place]


def _fits(arrays: Mapping[str, tuple[Any, Shape]], sources: int, n: int, size: Size, channels: int) -> bool:
    """Whether arrays are of the shapes and dtypes that a region has: the kernels look no further."""
    each, box = ((sources, n),), ((n, len(size), 2),)
    fills = ((n, *spatial, c) for spatial in (size, (1,) * len(size)) for c in (1, channels))
    shapes = {"index": each, "background": each, "weight": ((sources, n, *size),), "fill": ((n,), (n, *size), *fills)}
    known = {"background": "f", "weight": "fb", "fill": "f"}
    views = {f"{part}_{j}" for part in ("box", "source_box") for j in range(sources)}
    holes = {name for name in arrays if name.startswith("hole")}
    return (
        sources > 0
        and arrays.keys() <= shapes.keys() | views | holes
        and ("fill" in arrays or not holes)
        and all(
            shape in shapes.get(name, box)
            and dtype.kind in known.get(name, "i")
            and dtype.itemsize == (1 if dtype.kind == "b" else 4)
            for name, (dtype, shape) in arrays.items()
        )
    )
