"""Mix images, signals and volumes: blend whole sources, then select pixels by boxes or masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .. import backends, kernels
from ..backends import Array, Dim, Library
from ..core.keys import ONE
from ..core.layout import Layout, block_size, check_axes
from ..core.regions import Dense, Paste, Region, Size, covered, inside, is_of_channels, to
from ..core.rows import Rows
from ..core.scale import nearest, same, scaled
from ..core.units import DTYPES, INTEGERS, Target, Units, are_plain, check_integers, checked, plain, unchanged
from . import rows as of_rows

_COMMON_CHANNELS = (1, 3)  #: grey and RGB


def mix(
    xp: Library,
    rows: Rows,
    region: Region,
    drawn_for: Size,
    layout: Layout,
    units: Units | None = None,
    out: Array | None = None,
) -> Array:
    """Mix images; blends are computed in float32, or in integers if uint8 remains uint8."""
    example, form = rows.example, layout.form
    if is_of_channels(region.fill, len(drawn_for)):
        _check_fill(region.fill, layout, example)
    units = units or unchanged(xp.dtype(example))
    target = Target(form.place, units, out if form.is_plain else None)
    check = partial(check_given, xp, rows, drawn_for, layout, units, out)
    if form.is_plain:
        return _mixed(xp, rows, region, drawn_for, form.size(xp, example), target, check)
    check()
    rows = rows.map(partial(form.view, xp))
    region, drawn_for = form.region(xp, region, drawn_for or (1,), rows.example)
    if is_of_channels(region.fill, len(drawn_for)):
        region = replace(region, fill=form.per_element(region.fill, xp.shape(example)))
    mixed = _mixed(xp, rows, region, drawn_for, form.size(xp, rows.example), target, _checked)
    mixed = form.restore(xp, mixed, example)
    return mixed if out is None else xp.write(mixed, out)


def _checked() -> None:
    """Skip the check of images that have been checked."""


def _mixed(
    xp: Library,
    rows: Rows,
    region: Region,
    drawn_for: Size,
    size: Size,
    target: Target,
    check: Callable[[], None],
) -> Array:
    """Mix images of the spatial size `size`, in one of the forms of `core.layout`."""
    place, units, out = target
    dtype, same_size = xp.dtype(rows.example), same(drawn_for, size)
    if not same_size or dtype not in DTYPES:  # scaling needs valid inputs; the kernels accept the dtypes of masks too
        check()
    fitted = region if same_size else scaled(xp, to(xp, region), drawn_for, size)
    has_kernel = dtype in DTYPES  # the kernels do not convert other integers
    if has_kernel and (same_size or all(source_box is None for source_box in region.source_box)):
        mixed = kernels.images(xp, rows, fitted, target, check)
        if mixed is not None:
            return mixed
    check()
    index, region = backends.to(xp, rows.index), to(xp, region)
    fitted = region if same_size else fitted
    x = xp.take(rows.others, index[0]) if rows.base is None else rows.base
    sources = of_rows.gather(xp, x, rows.others, index, used(region))
    precision = None if units.keep(dtype) else _precision(xp, x)
    if precision:
        sources = [source if source is None else xp.cast(source, precision) for source in sources]
    visible = views(xp, sources, region, drawn_for, place)
    fill = None if fitted.fill is None else _pixel_fill(xp, fitted.fill, x, place, precision)
    if isinstance(fitted, Dense):
        mixed = _dense(xp, visible, fitted, fill, place)
    else:
        mixed = _paste(xp, sources, visible, fitted, fill, place)
    if precision:
        mixed = _converted(xp, mixed, units, precision, place)
    if out is not None:
        return xp.write(mixed, out)
    return xp.copy(mixed) if mixed is x else mixed


def in_units(
    xp: Library, x: Array, layout: Layout, dtype: Any = None, scale: Any = None, offset: Any = None
) -> Units | None:
    """Return the requested units of mixed images, repeated for each plane or step; None without options."""
    if dtype is None and scale is None and offset is None:
        return None
    shape, scale, offset = xp.shape(x), plain(scale), plain(offset)
    hashable = are_plain(scale, offset) and all(isinstance(length, int) for length in shape)
    function = _cached_units if hashable else _units
    return function(xp.dtype(x), shape, layout, dtype, scale, offset)


def _units(image_dtype: str, shape: Size, layout: Layout, dtype: Any, scale: Any, offset: Any) -> Units:
    channels = shape[layout.axes.index("c")] if "c" in layout.axes else 1
    units = checked(image_dtype, dtype, scale, offset, channels if isinstance(channels, int) else None)
    if units.scale is None:
        return units
    scale, offset = (layout.form.per_element(numbers, shape) for numbers in (units.scale, units.offset))
    return Units(units.dtype, scale, offset)


_cached_units = backends.memoized(_units)


def used(region: Region) -> list[bool]:
    """Return whether each source may contribute pixels."""
    if isinstance(region, Dense):
        return [True] * region.sources
    return [region.background is not None or box is not None for box in region.box]


def views(xp: Library, sources: list[Array], region: Region, drawn_for: Size, place: str | None) -> list[Array]:
    """Return each source as it is pasted: unchanged, or with its source box resized to its box."""
    return [
        x if source_box is None else look(xp, x, box, source_box, drawn_for, place)
        for x, box, source_box in zip(sources, region.box, region.source_box, strict=True)
    ]


def shown(
    xp: Library, sources: list[Array], region: Region, fitted: Region, drawn_for: Size, place: str | None
) -> list[Array]:
    """Return each source as it is visible, with `views` inside its box and unchanged in the background."""
    visible = views(xp, sources, region, drawn_for, place)
    if isinstance(fitted, Dense) or fitted.background is None:
        return visible
    spatial = block_size(xp, sources[0], place)
    return [
        view if source_box is None else xp.where(per_channel(inside(xp, box, spatial), place), view, x)
        for x, view, box, source_box in zip(sources, visible, fitted.box, fitted.source_box, strict=True)
    ]


def _paste(
    xp: Library, sources: list[Array], visible: list[Array], fitted: Paste, fill: Array | None, place: str | None
) -> Array:
    out, spatial = sources[0], block_size(xp, sources[0], place)
    if fitted.background is not None:
        out = _blend(xp, sources, [of_rows.over(fitted.background[j], out) for j in range(fitted.sources)])
    for box, pasted in zip(fitted.box, visible, strict=True):
        if box is not None:
            out = xp.where(per_channel(inside(xp, box, spatial), place), pasted, out)
    if holes := fitted.holes:
        out = xp.where(per_channel(~covered(xp, holes, spatial), place), out, fill)
    return out


def _dense(xp: Library, visible: list[Array], fitted: Dense, fill: Array | None, place: str | None) -> Array:
    weights = [per_channel(fitted.weight[j], place) for j in range(fitted.sources)]
    if xp.dtype(fitted.weight) != "bool":
        out = _blend(xp, visible, weights)
    else:
        out = visible[0]
        for weight, pasted in zip(weights[1:], visible[1:], strict=True):
            out = xp.where(weight, pasted, out)
    return out if fill is None else xp.where(per_channel(fitted.visible(xp), place), out, fill)


def look(xp: Library, x: Array, box: Array, source_box: Array, drawn_for: Size, place: str | None) -> Array:
    """Resize the source box of each image to its box, by nearest neighbour.

        pixel = source_box[0] + floor((pixel - box[0] + 1/2) * side(source_box) / side(box)) along each axis

    In a field of another size than the image, each pixel is offset from the center of its image pixel; the pixel with
    the same offset from the center of the source's image pixel is selected. Pixels outside the box are undefined,
    unless the source box equals the box: then all pixels are unchanged.

    The computation is in integers, so that it is the same in every library, for images and for masks of ids. A product
    of two lengths can overflow JAX's int32: the quotient is therefore estimated in float32 and corrected by the
    remainder.
    """
    for axis, of in enumerate(drawn_for):
        array_axis = axis + (2 if place == "first" else 1)
        length = xp.shape(x)[array_axis]
        resized = not same((length,), (of,))
        position = nearest(xp, length, of) if resized else xp.cast(xp.arange(length), "int64")
        pixels = source_pixels(xp, position, box[:, axis], source_box[:, axis], of)
        if resized:
            center = nearest(xp, of, length)
            offset = xp.cast(xp.arange(length), "int64") - xp.take(center, position)
            pixels = clipped(xp, xp.take(center, pixels) + offset[None, :], length)
        x = xp.take_each(x, pixels, array_axis)
    return x


def source_pixels(xp: Library, position: Array, box: Array, source_box: Array, length: Dim) -> Array:
    """Return the source pixels at positions (m,) along an axis, int64 (n, m); boxes and source boxes are (n, 2)."""
    box, source_box = xp.cast(box, "int64"), xp.cast(source_box, "int64")
    source_side, side = (xp.maximum(edges[:, 1:] - edges[:, :1], 1) for edges in (source_box, box))
    offset = position[None, :] - box[:, :1]
    ratio = xp.cast(source_side, "float32") / xp.cast(side, "float32")
    estimate = xp.cast((xp.cast(offset, "float32") + 0.5) * ratio, "int64")
    remainder = (2 * offset + 1) * source_side - estimate * (2 * side)
    return clipped(xp, source_box[:, :1] + estimate + remainder // (2 * side), length)


def clipped(xp: Library, index: Array, length: Dim) -> Array:
    """Clip pixel indices to an axis of that length."""
    last = xp.cast(xp.constant(length - 1), "int64")
    return xp.minimum(xp.maximum(index, 0), last)


def _pixel_fill(xp: Library, fill: Array, x: Array, place: str | None, precision: str | None) -> Array:
    """Convert a fill to pixels of the images `x`."""
    axes = len(x.shape) - (1 if place is None else 2)
    if is_of_channels(fill, axes):
        value = {"last": fill, "first": xp.transpose(fill, (0, 1 + axes, *range(1, 1 + axes))), None: fill[..., 0]}[
            place
        ]
    else:
        value = per_channel(fill, place) if len(fill.shape) > 1 else of_rows.over(fill, x)
    dtype = xp.dtype(x)
    if "float" not in dtype:
        value = xp.minimum(xp.maximum(xp.rint(value), float(np.iinfo(dtype).min)), float(np.iinfo(dtype).max))
    if dtype in INTEGERS:  # always converted to floats
        return xp.cast(value, precision)
    value = xp.cast(value, x.dtype)
    return xp.cast(value, precision) if precision else value


def _precision(xp: Library, x: Array) -> str:
    return "float64" if xp.dtype(x) == "float64" else "float32"


def _converted(xp: Library, x: Array, units: Units, precision: str, place: str | None) -> Array:
    """Convert pixels to units, rounding once."""
    if units.scale is not None:
        along = (slice(None), *[None] * (len(x.shape) - 2)) if place == "first" else (slice(None),)
        scale, offset = (xp.cast(xp.constant(a), precision) for a in (units.scale, units.offset))
        scale, offset = (a[along] if len(a.shape) else a for a in (scale, offset))
        x = x * scale + offset
    if units.dtype == "uint8":
        x = xp.minimum(xp.maximum(xp.rint(x), 0.0), 255.0)
    return xp.cast(x, units.dtype)


def _blend(xp: Library, sources: list[Array], weights: list[Array]) -> Array:
    """Return sum_k weights[k] * sources[k], rounded once.

    For uint8 it is (sum_k w[k] * x[k] + 2^15) >> 16, with integers w that sum to 2^16.
    """
    dtype = xp.dtype(sources[0])
    if dtype == "uint8":
        integers = [xp.cast(xp.rint(weight * float(ONE)), "int32") for weight in weights[1:]]
        weights = [ONE - sum(integers[1:], integers[0]), *integers] if integers else [xp.full((), ONE, "int32")]
        return xp.cast(xp.shift_right(_dot(xp, sources, weights, "int32") + ONE // 2, 16), dtype)
    precision = _precision(xp, sources[0])
    return xp.cast(_dot(xp, sources, [xp.cast(w, precision) for w in weights], precision), sources[0].dtype)


def _dot(xp: Library, sources: list[Array], weights: list[Array], dtype: str) -> Array:
    out = xp.cast(sources[0], dtype) * weights[0]
    for x, weight in zip(sources[1:], weights[1:], strict=True):
        out = out + xp.cast(x, dtype) * weight
    return out


def per_channel(weight: Array, place: str | None) -> Array:
    """Add a channel axis of length 1 to a weight (n, *size)."""
    return {"last": weight[..., None], "first": weight[:, None], None: weight}[place]


def check_given(
    xp: Library, rows: Rows, drawn_for: Size, layout: Layout, units: Units, out: Array | None = None
) -> None:
    """Raise for images, or memory, that do not fit the mix."""
    _check_dtype(xp.dtype(rows.example), units)
    for array in rows.arrays:
        check_axes(array, layout, "images")
        check_size(xp, array, drawn_for, layout)
    of_rows.check(xp, *rows, "images")
    if out is not None:
        shape = (backends.of(rows.index).shape(rows.index)[1], *rows.example.shape[1:])
        _check_out(xp, out, shape, units.dtype, rows.arrays)


def _check_dtype(dtype: str, units: Units) -> None:
    check_integers(dtype, units.dtype, units.scale is not None, "images", "{}")
    if dtype not in (*DTYPES, *INTEGERS):
        raise TypeError(f"images: expected {', '.join(DTYPES)}, got {dtype}; convert them first")


def _check_fill(fill: Array, layout: Layout, x: Array) -> None:
    """Refuse images whose number of channels differs from that of the fill."""
    wanted, channels = fill.shape[-1], layout.channels(x)
    if channels != wanted:
        raise ValueError(
            f"images: expected {wanted} channels, one for each number of the recipe's fill or noise, got "
            f"{channels or 'an unknown number'} in the layout {layout.axes!r}; give fill and noise a single number, "
            f"or one for each channel"
        )


def check_size(xp: Library, x: Array, drawn_for: Size, layout: Layout, what: str = "images") -> None:
    """Refuse images whose number of spatial axes differs from the mix's, or whose layout is evidently wrong."""
    size = layout.size(xp, x)
    if len(size) != len(drawn_for):
        raise ValueError(
            f"{what}: expected {len(drawn_for)} spatial axes, as the mix was drawn for the size {drawn_for}, got "
            f"{size} in the layout {layout.axes!r}; draw for this size, or pass another layout or spatial="
        )
    other = _swapped(layout)
    swapped = other and other.channels(x) in _COMMON_CHANNELS and layout.channels(x) not in (*_COMMON_CHANNELS, None)
    if other and swapped and not same(size, drawn_for) and same(other.size(xp, x), drawn_for):
        raise ValueError(
            f"{what}: expected the size {drawn_for} that the mix was drawn for, got {size} in the layout "
            f"{layout.axes!r}; the layout {other.axes!r} has that size: pass layout={other.axes!r}"
        )


def _swapped(layout: Layout) -> Layout | None:
    """Move the channels from first to last or back; None if they are neither first nor last."""
    others = layout.axes[1:].replace("c", "")
    if layout.axes == f"n{others}c":
        return layout._replace(axes=f"nc{others}")
    return layout._replace(axes=f"n{others}c") if layout.axes == f"nc{others}" else None


def _check_out(xp: Library, out: Array, shape: tuple[Dim, ...], dtype: str, others: Sequence[Array]) -> None:
    """Refuse an `out` of the wrong dtype or shape, or one that shares memory with the inputs."""
    if xp.dtype(out) != dtype or tuple(out.shape) != shape:
        raise ValueError(
            f"out: expected {dtype} of the shape {shape}, got {xp.dtype(out)} of {tuple(out.shape)}; leave out= out"
        )
    check_apart(xp, out, others)


def check_apart(xp: Library, out: Array, others: Sequence[Array]) -> None:
    """Refuse an `out` that shares memory with the inputs."""
    if any(other is out or _overlap(xp.memory_span(out), xp.memory_span(other)) for other in others):
        raise ValueError(
            "out: expected memory of its own, got memory of the images; pass a new array, as mixing is never in place"
        )


def _overlap(one: tuple[int, int] | None, other: tuple[int, int] | None) -> bool:
    return one is not None and other is not None and one[0] < other[1] and other[0] < one[1]
