"""What a region and a mix have to be: structure, which traced code has too, and values, where they can be seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product
from typing import Any, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array, Dim, Library
from .choice import Chosen, Drawn, shows_windows
from .hints import short
from .regions import Dense, Paste, Region, Size, Sizes, covered, inside

Host: TypeAlias = np.ndarray[Any, Any]

MAX_LENGTH = 2**24  #: of an axis in pixels: positions are drawn by 24 bits
MAX_HOLES = 64  #: of an output
MAX_PIXELS = 2**31 - 1  #: of an image, and outputs of a draw: they are counted in int32

_CLOSE = 1e-5  #: how far sums of float32 weights may be from 1


def check_size(size: Sequence[Dim]) -> Size:
    """The spatial size, lengths as Python's own where they are known; an error for anything else."""
    known = type(size) is tuple and all(type(length) is int for length in size)
    return _kept_size(size) if known else _checked_size(size)


def _checked_size(size: Sequence[Dim]) -> Size:
    if isinstance(size, str) or not hasattr(size, "__iter__"):
        raise TypeError(
            f"size: expected the spatial lengths, such as (32, 32), got {short(size)}; pass a tuple of ints"
        )
    for length in size:
        whole = isinstance(length, (int, np.integer)) and not isinstance(length, bool) and length > 0
        if not whole and (isinstance(length, (bool, int)) or backends.find(length) is None):
            raise ValueError(f"size: expected lengths of 1 or more, got {short(size)}; pass those of the images")
    known = [int(length) for length in size if isinstance(length, (int, np.integer))]
    if max(known, default=0) > MAX_LENGTH or math.prod(known) > MAX_PIXELS:
        raise ValueError(
            f"size: expected lengths of at most {MAX_LENGTH} and {MAX_PIXELS} pixels in all, got {short(size)}; "
            "cut the samples into parts"
        )
    return tuple(int(length) if isinstance(length, (int, np.integer)) else length for length in size)


_kept_size = backends.kept(_checked_size)


def check_region(xp: Library, region: Drawn, sources: int, n: Dim, size: Size) -> None:
    """Raise unless a region has so many sources, and arrays of this library, of the shapes and dtypes that they need.

    Raises:
        TypeError: if it is no region, or an array is of another library or dtype. ValueError: if a shape differs.
    """
    if not isinstance(region, (Paste, Dense, Chosen)):
        raise TypeError(f"region: expected ma.Paste or ma.Dense, got {type(region).__name__}; return one of them")
    if region.sources != sources:
        raise ValueError(
            f"region: expected {sources} sources, as the recipe says, got {region.sources}; "
            "change `sources` or the region"
        )
    if isinstance(region, Chosen):
        check_array(xp, "region: choice", region.choice, ((n,),), ("int32",))
        for one in region.regions:
            check_region(xp, one, min(one.sources, sources), n, size)
        return
    views, rows, pixels = (n, len(size), 2), (n,), (n, *size)
    channels = (*(n, *[1] * len(size)), None), (*pixels, None)
    forms = {"background": ((sources, n),), "weight": ((sources, *pixels),), "fill": (rows, pixels, *channels)}
    forms["hole"] = views, (n, _holes(region), len(size), 2)
    dtypes = {"background": ("float32",), "weight": ("float32", "bool"), "fill": ("float32",)}
    for name, array in region.arrays().items():
        check_array(xp, f"region: {name}", array, forms.get(name, (views,)), dtypes.get(name, ("int32",)))


def _holes(region: Region) -> int:
    """How many holes a region has on an axis of their own; 0 if it has no such axis."""
    shape = tuple(getattr(getattr(region, "hole", None), "shape", ()))
    if len(shape) == 4 and not (isinstance(shape[1], int) and 0 < shape[1] <= MAX_HOLES):
        raise ValueError(f"region: hole: expected 1 to {MAX_HOLES} holes, got {shape[1]}; pass hole=None for no hole")
    return shape[1] if len(shape) == 4 else 0


def check_sizes(size: Sequence[Dim], source_size: Sequence[Dim] | None) -> Sizes:
    """The size of outputs and that of sources, by default the same; an error for what they cannot be."""
    size = check_size(size)
    source_size = size if source_size is None else check_size(source_size)
    if len(source_size) != len(size):
        raise ValueError(
            f"size: expected {len(source_size)} lengths, as many as the sources have, {source_size}, got {size}; "
            "pass one for each of their spatial axes"
        )
    return Sizes(size, source_size)


def check_windows(region: Drawn, sizes: Sizes, what: object) -> None:
    """Raise a ValueError unless sources of that size can be seen in outputs of another."""
    size, source_size = sizes
    if not shows_windows(region):
        raise ValueError(
            f"size: expected {source_size}, the size of the sources, for {what}, which shows them as they are, got "
            f"{size}; pass size={source_size}, or a recipe that fits its sources to boxes, such as ma.Mosaic()"
        )


def check_array(
    xp: Library, name: str, array: Array, shapes: tuple[tuple[Dim, ...], ...], dtypes: tuple[str, ...]
) -> None:
    """Raise unless an array is of this library, one of these dtypes and, as far as they are known, of these shapes."""
    if backends.find(array) != xp:
        raise TypeError(
            f"{name}: expected an array of {xp.display_name}, got {backends.display_name(array)}; convert it"
        )
    dtype, shape = xp.dtype(array), xp.shape(array)
    if dtype not in dtypes or not getattr(array.dtype, "isnative", True):
        came = dtype if dtype not in dtypes else str(array.dtype)
        raise TypeError(f"{name}: expected {' or '.join(dtypes)}, got {came}; convert it")
    if not any(_fits(shape, wanted) for wanted in shapes):
        wanted = " or ".join(map(_written, shapes))
        raise ValueError(f"{name}: expected the shape {wanted}, got {_written(shape)}; make one row for each output")


def check_values(region: Drawn, n: int, size: Size, source_size: Size) -> None:
    """Raise a ValueError where the values of a region can be seen, and are not what `Paste` and `Dense` say."""
    if backends.is_compiling():  # none can be seen
        return
    if not isinstance(region, Chosen):
        _check_settled(region, n, size, source_size)
        return
    choice = _seen(region.choice)
    if choice is not None and choice.size and not 0 <= choice.min() <= choice.max() < len(region.regions):
        raise ValueError(
            f"region: expected a choice among 0 .. {len(region.regions) - 1}, got {choice.min()} .. {choice.max()}"
        )
    for one in region.regions:
        check_values(one, n, size, source_size)


def _check_settled(region: Region, n: int, size: Size, source_size: Size) -> None:
    arrays = {name: held for name, array in region.arrays().items() if (held := _seen(array)) is not None}
    known = all(isinstance(length, int) for length in (*size, *source_size))
    if len(arrays) < len(region.arrays()) or not known:
        return
    for name, array in arrays.items():
        if name == "fill":
            _expect(np.isfinite(array), "region: fill", "finite numbers", array)
        elif name not in ("background", "weight"):
            _check_boxes(name, array, source_size if name.startswith("source_box") else size)
    for j in range(region.sources):
        _check_view(j, arrays.get(f"box_{j}"), arrays.get(f"source_box_{j}"))
    if isinstance(region, Paste):
        if region.background is not None:
            _check_weights("background", arrays["background"], np.ones(n, bool))
        boxes = {name: box for name, box in arrays.items() if name.startswith("box_")}
        holes = type(region).of(arrays, region.sources).holes
        _check_disjoint(boxes, holes)
        if source_size != size:
            bare = ~covered(backends.common(), [*boxes.values(), *holes], size).all(axis=tuple(range(1, 1 + len(size))))
            _expect(~bare, "region: box_0", f"boxes and holes that cover all of {size}", boxes["box_0"])
    else:
        _check_pixels(arrays, region, size)


def _check_boxes(name: str, box: Host, size: Size) -> None:
    first, last = box[..., 0], box[..., 1]
    right = (first >= 0) & (first <= last) & (last <= np.array(size))
    _expect(right.all(axis=-1), f"region: {name}", f"0 <= first <= last <= {size}", box)


def _check_view(j: int, box: Host | None, source_box: Host | None) -> None:
    if box is None or source_box is None:
        return
    shows = (box[..., 0] < box[..., 1]).all(axis=1)
    right = ~shows | (source_box[..., 0] < source_box[..., 1]).all(axis=1)
    _expect(right, f"region: source_box_{j}", "a pixel or more where its box has some", source_box)


def _check_disjoint(boxes: dict[str, Host], holes: Sequence[Host]) -> None:
    pairs = [*combinations(boxes.items(), 2), *product(boxes.items(), [("hole", hole) for hole in holes])]
    for (one, a), (other, b) in pairs:
        common = np.minimum(a[..., 1], b[..., 1]) > np.maximum(a[..., 0], b[..., 0])
        _expect(~common.all(axis=1), f"region: {one}", f"no pixel in common with {other}", a)


def _check_pixels(arrays: dict[str, Host], region: Dense, size: Size) -> None:
    weight = arrays["weight"]
    seen = np.ones(weight.shape[1:], bool) if region.fill is None else (weight != 0).any(axis=0)
    _check_weights("weight", weight, seen)
    xp = backends.common()
    for j in range(region.sources):
        box, source_box = arrays.get(f"box_{j}"), arrays.get(f"source_box_{j}")
        if box is not None and source_box is not None:
            outside = (weight[j] != 0) & ~inside(xp, box, size)
            right = ~outside.any(axis=tuple(range(1, outside.ndim))) | (box == source_box).all(axis=(1, 2))
            _expect(right, "region: weight", f"none outside of box_{j}", box)


def _check_weights(name: str, weight: Host, seen: Host) -> None:
    _expect(np.isfinite(weight) & (weight >= 0), f"region: {name}", "weights of 0 or more", weight)
    total = weight.sum(axis=0, dtype=np.float64)
    _expect(abs(total - seen) <= _CLOSE, f"region: {name}", "weights that sum to 1 over the sources", total)


def check_lam(index: Host, lam: Host, wanted: Host) -> None:
    """Raise a ValueError unless the weights of each output are those of its region, whose lam is `wanted`."""
    _expect(index >= 0, "index", "rows of the source, 0 or more", index)
    _expect(np.isfinite(lam) & (lam >= 0), "lam", "weights of 0 or more", lam)
    total = lam.sum(axis=0, dtype=np.float64)
    _expect(abs(total - 1) <= _CLOSE, "lam", "weights that sum to 1 over the sources", total)
    _expect(abs(lam - wanted) <= _CLOSE, "lam", "the mean of the region's weights", lam)


def _expect(right: Any, name: str, expected: str, came: Host) -> None:
    """Raise a ValueError that shows the first value of `came` that is not right."""
    if not right.all():
        wrong = came[np.unravel_index(int(right.argmin()), right.shape)]
        raise ValueError(f"{name}: expected {expected}, got {wrong.tolist()}; correct its values")


def _seen(array: Array) -> Host | None:
    xp = backends.find(array)
    held: Host | None = xp.concrete(array) if xp else None
    return held


def _fits(shape: tuple[Dim, ...], wanted: tuple[Dim, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        a == b for a, b in zip(shape, wanted, strict=True) if isinstance(a, int) and isinstance(b, int)
    )


def _written(shape: tuple[Dim, ...]) -> str:
    lengths = [str(length) if isinstance(length, int) else "?" for length in shape]
    return f"({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"
