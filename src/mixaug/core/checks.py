"""Validation of regions and mixes: their structure always, their values unless they are traced."""

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

MAX_LENGTH = 2**24  #: pixels along an axis: positions are drawn from 24 bits
MAX_HOLES = 64  #: holes per output
MAX_PIXELS = 2**31 - 1  #: pixels per image, and outputs per draw: both are counted in int32

_TOLERANCE = 1e-5  #: how far a sum of float32 weights may be from 1


def check_size(size: Sequence[Dim]) -> Size:
    """Return a spatial size, with known lengths as Python ints; raises an error for anything else."""
    known = type(size) is tuple and all(type(length) is int for length in size)
    return _cached_size(size) if known else _checked_size(size)


def _checked_size(size: Sequence[Dim]) -> Size:
    if isinstance(size, str) or not hasattr(size, "__iter__"):
        raise TypeError(
            f"size: expected the spatial lengths, such as (32, 32), got {short(size)}; pass a tuple of ints"
        )
    for length in size:
        is_length = isinstance(length, (int, np.integer)) and not isinstance(length, bool) and length > 0
        if not is_length and (isinstance(length, (bool, int)) or backends.find(length) is None):
            raise ValueError(
                f"size: expected lengths of 1 or more, got {short(size)}; pass the spatial size of the images"
            )
    known = [int(length) for length in size if isinstance(length, (int, np.integer))]
    if max([0, *known]) > MAX_LENGTH or math.prod(known) > MAX_PIXELS:
        raise ValueError(
            f"size: expected lengths of at most {MAX_LENGTH} and at most {MAX_PIXELS} pixels, got {short(size)}; "
            "split the samples into tiles"
        )
    return tuple(int(length) if isinstance(length, (int, np.integer)) else length for length in size)


_cached_size = backends.memoized(_checked_size)


def check_region(xp: Library, region: Drawn, sources: int, n: Dim, size: Size) -> None:
    """Check the number of sources of a region, and the library, shapes and dtypes of its arrays.

    Raises:
        TypeError: if `region` is not a region, or an array has the wrong library or dtype.
        ValueError: if the number of sources or a shape is wrong.
    """
    if not isinstance(region, (Paste, Dense, Chosen)):
        raise TypeError(f"region: expected ma.Paste or ma.Dense, got {type(region).__name__}; return one of them")
    if region.sources != sources:
        raise ValueError(
            f"region: expected {sources} sources, as the recipe declares, got {region.sources}; "
            "change `sources` or the region"
        )
    if isinstance(region, Chosen):
        check_array(xp, "region: choice", region.choice, ((n,),), ("int32",))
        for option in region.regions:
            check_region(xp, option, min(option.sources, sources), n, size)
        return
    boxes, rows, pixels = (n, len(size), 2), (n,), (n, *size)
    channels = (*(n, *[1] * len(size)), None), (*pixels, None)
    shapes = {"background": ((sources, n),), "weight": ((sources, *pixels),), "fill": (rows, pixels, *channels)}
    shapes["hole"] = boxes, (n, _holes(region), len(size), 2)
    dtypes = {"background": ("float32",), "weight": ("float32", "bool"), "fill": ("float32",)}
    for name, array in region.arrays().items():
        check_array(xp, f"region: {name}", array, shapes.get(name, (boxes,)), dtypes.get(name, ("int32",)))


def _holes(region: Region) -> int:
    """Return the length of the hole axis of a region; 0 if it has none."""
    shape = tuple(getattr(getattr(region, "hole", None), "shape", ()))
    if len(shape) == 4 and not (isinstance(shape[1], int) and 0 < shape[1] <= MAX_HOLES):
        raise ValueError(f"region: hole: expected 1 to {MAX_HOLES} holes, got {shape[1]}; pass hole=None for no hole")
    return shape[1] if len(shape) == 4 else 0


def check_sizes(size: Sequence[Dim], source_size: Sequence[Dim] | None) -> Sizes:
    """Return the sizes of outputs and sources, which are equal by default; raises an error for invalid sizes."""
    size = check_size(size)
    source_size = size if source_size is None else check_size(source_size)
    if len(source_size) != len(size):
        raise ValueError(
            f"size: expected {len(source_size)} lengths, as the sources have the size {source_size}, got {size}; "
            "pass one length for each spatial axis"
        )
    return Sizes(size, source_size)


def check_windows(region: Drawn, sizes: Sizes, what: object) -> None:
    """Raise a ValueError if a region cannot make outputs of another size than its sources."""
    size, source_size = sizes
    if not shows_windows(region):
        raise ValueError(
            f"size: expected {source_size}, the size of the sources, for {what}, which does not resize them, got "
            f"{size}; pass size={source_size}, or a recipe that resizes its sources, such as ma.Mosaic()"
        )


def check_array(
    xp: Library, name: str, array: Array, shapes: tuple[tuple[Dim, ...], ...], dtypes: tuple[str, ...]
) -> None:
    """Check that an array is of a library and has one of the dtypes and one of the shapes, as far as it is known."""
    if backends.find(array) != xp:
        raise TypeError(
            f"{name}: expected an array of {xp.display_name}, got {backends.display_name(array)}; convert it"
        )
    dtype, shape = xp.dtype(array), xp.shape(array)
    if dtype not in dtypes or not getattr(array.dtype, "isnative", True):
        actual = dtype if dtype not in dtypes else str(array.dtype)
        raise TypeError(f"{name}: expected {' or '.join(dtypes)}, got {actual}; convert it")
    if not any(_fits(shape, expected) for expected in shapes):
        expected = " or ".join(map(_format_shape, shapes))
        raise ValueError(
            f"{name}: expected the shape {expected}, got {_format_shape(shape)}; make one row for each output"
        )


def check_values(region: Drawn, n: int, size: Size, source_size: Size) -> None:
    """Raise a ValueError if the values of a region are not what `Paste` and `Dense` require; traced ones pass."""
    if backends.is_compiling():  # all values are traced
        return
    if not isinstance(region, Chosen):
        _check_settled(region, n, size, source_size)
        return
    choice = _concrete(region.choice)
    if choice is not None and choice.size and not 0 <= choice.min() <= choice.max() < len(region.regions):
        raise ValueError(
            f"region: expected a choice among 0 .. {len(region.regions) - 1}, got {choice.min()} .. {choice.max()}"
        )
    for option in region.regions:
        check_values(option, n, size, source_size)


def _check_settled(region: Region, n: int, size: Size, source_size: Size) -> None:
    arrays = {name: values for name, array in region.arrays().items() if (values := _concrete(array)) is not None}
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
            axes = tuple(range(1, 1 + len(size)))
            complete = covered(backends.common(), [*boxes.values(), *holes], size).all(axis=axes)
            _expect(complete, "region: box_0", f"boxes and holes that cover all of {size}", boxes["box_0"])
    else:
        _check_pixels(arrays, region, size)


def _check_boxes(name: str, box: Host, size: Size) -> None:
    first, last = box[..., 0], box[..., 1]
    valid = (first >= 0) & (first <= last) & (last <= np.array(size))
    _expect(valid.all(axis=-1), f"region: {name}", f"0 <= first <= last <= {size}", box)


def _check_view(j: int, box: Host | None, source_box: Host | None) -> None:
    if box is None or source_box is None:
        return
    visible = (box[..., 0] < box[..., 1]).all(axis=1)
    valid = ~visible | (source_box[..., 0] < source_box[..., 1]).all(axis=1)
    _expect(valid, f"region: source_box_{j}", "at least one pixel if its box has any", source_box)


def _check_disjoint(boxes: dict[str, Host], holes: Sequence[Host]) -> None:
    pairs = [*combinations(boxes.items(), 2), *product(boxes.items(), [("hole", hole) for hole in holes])]
    for (name, a), (other_name, b) in pairs:
        overlap = np.minimum(a[..., 1], b[..., 1]) > np.maximum(a[..., 0], b[..., 0])
        _expect(~overlap.all(axis=1), f"region: {name}", f"no pixel in common with {other_name}", a)


def _check_pixels(arrays: dict[str, Host], region: Dense, size: Size) -> None:
    weight = arrays["weight"]
    visible = np.ones(weight.shape[1:], bool) if region.fill is None else (weight != 0).any(axis=0)
    _check_weights("weight", weight, visible)
    xp = backends.common()
    for j in range(region.sources):
        box, source_box = arrays.get(f"box_{j}"), arrays.get(f"source_box_{j}")
        if box is not None and source_box is not None:
            outside = (weight[j] != 0) & ~inside(xp, box, size)
            valid = ~outside.any(axis=tuple(range(1, outside.ndim))) | (box == source_box).all(axis=(1, 2))
            _expect(valid, "region: weight", f"zeros outside box_{j}", box)


def _check_weights(name: str, weight: Host, wanted: Host) -> None:
    _expect(np.isfinite(weight) & (weight >= 0), f"region: {name}", "weights of 0 or more", weight)
    total = weight.sum(axis=0, dtype=np.float64)
    _expect(abs(total - wanted) <= _TOLERANCE, f"region: {name}", "weights that sum to 1 over the sources", total)


def check_lam(index: Host, lam: Host, wanted: Host) -> None:
    """Raise a ValueError if `lam` is not `wanted`, the lam of the region, or an index is negative."""
    _expect(index >= 0, "index", "rows of the source, 0 or more", index)
    _expect(np.isfinite(lam) & (lam >= 0), "lam", "weights of 0 or more", lam)
    total = lam.sum(axis=0, dtype=np.float64)
    _expect(abs(total - 1) <= _TOLERANCE, "lam", "weights that sum to 1 over the sources", total)
    _expect(abs(lam - wanted) <= _TOLERANCE, "lam", "the mean of the region's weights", lam)


def _expect(valid: Any, name: str, expected: str, values: Host) -> None:
    """Raise a ValueError that shows the first invalid value."""
    if not valid.all():
        wrong = values[np.unravel_index(int(valid.argmin()), valid.shape)]
        raise ValueError(f"{name}: expected {expected}, got {wrong.tolist()}; correct its values")


def _concrete(array: Array) -> Host | None:
    xp = backends.find(array)
    values: Host | None = xp.concrete(array) if xp else None
    return values


def _fits(shape: tuple[Dim, ...], wanted: tuple[Dim, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        a == b for a, b in zip(shape, wanted, strict=True) if isinstance(a, int) and isinstance(b, int)
    )


def _format_shape(shape: tuple[Dim, ...]) -> str:
    lengths = [str(length) if isinstance(length, int) else "?" for length in shape]
    return f"({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"
