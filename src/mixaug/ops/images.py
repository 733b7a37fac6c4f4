"""Images (signals, pictures, volumes): a blend of whole sources, then pixels chosen by a box or a mask."""

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
from ..core.scale import home, same, scaled
from ..core.units import DTYPES, INTEGERS, Target, Units, are_plain, check_integers, checked, plain, unchanged
from . import rows as of_rows

_USUAL = (1, 3)  #: channels, of grey images and of colours


def mix(
    xp: Library,
    rows: Rows,
    region: Region,
    drawn_for: Size,
    layout: Layout,
    units: Units | None = None,
    out: Array | None = None,
) -> Array:
    """The mixed images; blends are computed in float32, or in integers where uint8 stays uint8."""
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
    """The check of images that have been checked."""


def _mixed(
    xp: Library,
    rows: Rows,
    region: Region,
    drawn_for: Size,
    size: Size,
    target: Target,
    check: Callable[[], None],
) -> Array:
    """The mixed images of that size, in one of the forms that kernels take."""
    place, units, out = target
    dtype, whole = xp.dtype(rows.example), same(drawn_for, size)
    if not whole or dtype not in DTYPES:  # only what is right can be scaled; kernels know dtypes of masks too
        check()
    here = region if whole else scaled(xp, to(xp, region), drawn_for, size)
    is_known = dtype in DTYPES  # the kernels have no conversion of other integers
    if is_known and (whole or all(source_box is None for source_box in region.source_box)):
        mixed = kernels.images(xp, rows, here, target, check)
        if mixed is not None:
            return mixed
    check()
    index, region = backends.to(xp, rows.index), to(xp, region)
    here = region if whole else here
    x = xp.take(rows.others, index[0]) if rows.base is None else rows.base
    sources = of_rows.gather(xp, x, rows.others, index, used(region))
    precise = None if units.keep(dtype) else _precision(xp, x)
    if precise:
        sources = [one if one is None else xp.cast(one, precise) for one in sources]
    pixels = views(xp, sources, region, drawn_for, place)
    fill = None if here.fill is None else _filling(xp, here.fill, x, place, precise)
    if isinstance(here, Dense):
        mixed = _dense(xp, pixels, here, fill, place)
    else:
        mixed = _paste(xp, sources, pixels, here, fill, place)
    if precise:
        mixed = _converted(xp, mixed, units, precise, place)
    if out is not None:
        return xp.write(mixed, out)
    return xp.copy(mixed) if mixed is x else mixed


def in_units(
    xp: Library, x: Array, layout: Layout, dtype: Any = None, scale: Any = None, offset: Any = None
) -> Units | None:
    """The units that mixed images shall be in, along the planes or steps of their form; None if no option is given."""
    if dtype is None and scale is None and offset is None:
        return None
    shape, scale, offset = xp.shape(x), plain(scale), plain(offset)
    can_be_kept = are_plain(scale, offset) and all(isinstance(length, int) for length in shape)
    function = _kept_units if can_be_kept else _units
    return function(xp.dtype(x), shape, layout, dtype, scale, offset)


def _units(dtype_in: str, shape: Size, layout: Layout, dtype: Any, scale: Any, offset: Any) -> Units:
    channels = shape[layout.axes.index("c")] if "c" in layout.axes else 1
    units = checked(dtype_in, dtype, scale, offset, channels if isinstance(channels, int) else None)
    if units.scale is None:
        return units
    scale, offset = (layout.form.per_element(numbers, shape) for numbers in (units.scale, units.offset))
    return Units(units.dtype, scale, offset)


_kept_units = backends.kept(_units)


def used(region: Region) -> list[bool]:
    """Whether pixels of each source may be seen."""
    if isinstance(region, Dense):
        return [True] * region.sources
    return [region.background is not None or box is not None for box in region.box]


def views(xp: Library, sources: list[Array], region: Region, drawn_for: Size, place: str | None) -> list[Array]:
    """What each source shows where it is seen: itself, or through its box its source box."""
    return [
        x if source_box is None else look(xp, x, box, source_box, drawn_for, place)
        for x, box, source_box in zip(sources, region.box, region.source_box, strict=True)
    ]


def shown(
    xp: Library, sources: list[Array], region: Region, here: Region, drawn_for: Size, place: str | None
) -> list[Array]:
    """What each source shows at every pixel where it has weight, in its box and in what it is blended into."""
    pixels = views(xp, sources, region, drawn_for, place)
    if isinstance(here, Dense) or here.background is None:
        return pixels
    spatial = block_size(xp, sources[0], place)
    return [
        view if source_box is None else xp.where(per_channel(inside(xp, box, spatial), place), view, x)
        for x, view, box, source_box in zip(sources, pixels, here.box, here.source_box, strict=True)
    ]


def _paste(
    xp: Library, sources: list[Array], pixels: list[Array], here: Paste, fill: Array | None, place: str | None
) -> Array:
    out, spatial = sources[0], block_size(xp, sources[0], place)
    if here.background is not None:
        out = _blend(xp, sources, [of_rows.over(here.background[j], out) for j in range(here.sources)])
    for box, pasted in zip(here.box, pixels, strict=True):
        if box is not None:
            out = xp.where(per_channel(inside(xp, box, spatial), place), pasted, out)
    if holes := here.holes:
        out = xp.where(per_channel(~covered(xp, holes, spatial), place), out, fill)
    return out


def _dense(xp: Library, pixels: list[Array], here: Dense, fill: Array | None, place: str | None) -> Array:
    weights = [per_channel(here.weight[j], place) for j in range(here.sources)]
    if xp.dtype(here.weight) != "bool":
        out = _blend(xp, pixels, weights)
    else:
        out = pixels[0]
        for weight, pasted in zip(weights[1:], pixels[1:], strict=True):
            out = xp.where(weight, pasted, out)
    return out if fill is None else xp.where(per_channel(here.seen(xp), place), out, fill)


def look(xp: Library, x: Array, box: Array, source_box: Array, drawn_for: Size, place: str | None) -> Array:
    """Images whose box shows their source box, made to fit it.

        pixel = source_box[0] + floor((pixel - box[0] + 1/2) * side(source_box) / side(box)) along each axis

    A pixel of a field of another size than the image shows the one that lies from the place of that image pixel as it
    does itself from its own. What is outside of the box is not to be looked at, but where the source box is the box:
    then every pixel is in its place.

    In whole numbers, so that it is the same in every library, and the same for images and for masks of ids. A product
    of two lengths may be too long for those of JAX, which wrap around: so the quotient is guessed in float32, and put
    right by what it leaves.
    """
    for axis, of in enumerate(drawn_for):
        at_axis = axis + (2 if place == "first" else 1)
        length = xp.shape(x)[at_axis]
        resized = not same((length,), (of,))
        at = home(xp, length, of) if resized else xp.cast(xp.arange(length), "int64")
        shown = shown_pixels(xp, at, box[:, axis], source_box[:, axis], of)
        if resized:
            centre = home(xp, of, length)
            off = xp.cast(xp.arange(length), "int64") - xp.take(centre, at)
            shown = within(xp, xp.take(centre, shown) + off[None, :], length)
        x = xp.take_each(x, shown, at_axis)
    return x


def shown_pixels(xp: Library, at: Array, box: Array, source_box: Array, length: Dim) -> Array:
    """int64 (n, m): the pixels shown at these places (m,) of an axis, by boxes and source boxes int32 (n, 2)."""
    to, of = xp.cast(box, "int64"), xp.cast(source_box, "int64")
    whole, part = (xp.maximum(ends[:, 1:] - ends[:, :1], 1) for ends in (of, to))
    off = at[None, :] - to[:, :1]
    guess = xp.cast((xp.cast(off, "float32") + 0.5) * (xp.cast(whole, "float32") / xp.cast(part, "float32")), "int64")
    return within(xp, of[:, :1] + guess + ((2 * off + 1) * whole - guess * (2 * part)) // (2 * part), length)


def within(xp: Library, index: Array, length: Dim) -> Array:
    """Pixels of an axis of that length: the nearest of those that are beyond its ends."""
    last = xp.cast(xp.constant(length - 1), "int64")
    return xp.minimum(xp.maximum(index, 0), last)


def _filling(xp: Library, fill: Array, x: Array, place: str | None, precise: str | None) -> Array:
    """What is where nothing is seen, as a pixel of these images."""
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
    if dtype in INTEGERS:  # they are converted in any case
        return xp.cast(value, precise)
    value = xp.cast(value, x.dtype)
    return xp.cast(value, precise) if precise else value


def _precision(xp: Library, x: Array) -> str:
    return "float64" if xp.dtype(x) == "float64" else "float32"


def _converted(xp: Library, x: Array, units: Units, precise: str, place: str | None) -> Array:
    """Values in their units, rounded once."""
    if units.scale is not None:
        along = (slice(None), *[None] * (len(x.shape) - 2)) if place == "first" else (slice(None),)
        scale, offset = (xp.cast(xp.constant(a), precise) for a in (units.scale, units.offset))
        scale, offset = (a[along] if len(a.shape) else a for a in (scale, offset))
        x = x * scale + offset
    if units.dtype == "uint8":
        x = xp.minimum(xp.maximum(xp.rint(x), 0.0), 255.0)
    return xp.cast(x, units.dtype)


def _blend(xp: Library, sources: list[Array], weights: list[Array]) -> Array:
    """sum_k weights[k] * sources[k], rounded once; for uint8 (sum_k w * x + 2^15) >> 16, whole w that sum to 2^16."""
    dtype = xp.dtype(sources[0])
    if dtype == "uint8":
        whole = [xp.cast(xp.rint(weight * float(ONE)), "int32") for weight in weights[1:]]
        weights = [ONE - sum(whole[1:], whole[0]), *whole] if whole else [xp.full((), ONE, "int32")]
        return xp.cast(xp.shift_right(_dot(xp, sources, weights, "int32") + ONE // 2, 16), dtype)
    precision = _precision(xp, sources[0])
    return xp.cast(_dot(xp, sources, [xp.cast(w, precision) for w in weights], precision), sources[0].dtype)


def _dot(xp: Library, sources: list[Array], weights: list[Array], dtype: str) -> Array:
    out = xp.cast(sources[0], dtype) * weights[0]
    for x, weight in zip(sources[1:], weights[1:], strict=True):
        out = out + xp.cast(x, dtype) * weight
    return out


def per_channel(weight: Array, place: str | None) -> Array:
    """A weight (n, *size) with an axis of length 1 where the images have their channels."""
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
    """Refuse images of another number of channels than a fill has numbers."""
    wanted, channels = fill.shape[-1], layout.channels(x)
    if channels != wanted:
        raise ValueError(
            f"images: expected {wanted} channels, as many as the recipe's fill or noise has numbers, got "
            f"{channels or 'an unknown number'} in the layout {layout.axes!r}; give fill and noise one number each, "
            f"which serves any channels, or one for each channel"
        )


def check_size(xp: Library, x: Array, drawn_for: Size, layout: Layout, what: str = "images") -> None:
    """Refuse images of another number of spatial axes than the mix was drawn for, or whose channels are elsewhere."""
    size = layout.size(xp, x)
    if len(size) != len(drawn_for):
        raise ValueError(
            f"{what}: expected {len(drawn_for)} spatial axes, as the size {drawn_for} that the mix was drawn for has, "
            f"got {size} of the layout {layout.axes!r}; draw for this size, or pass another layout or spatial="
        )
    other = _swapped(layout)
    swapped = other and other.channels(x) in _USUAL and layout.channels(x) not in (*_USUAL, None)
    if other and swapped and not same(size, drawn_for) and same(other.size(xp, x), drawn_for):
        raise ValueError(
            f"{what}: expected the size {drawn_for} that the mix was drawn for, got {size} of the layout "
            f"{layout.axes!r}; they have it in the layout {other.axes!r}: pass layout={other.axes!r}"
        )


def _swapped(layout: Layout) -> Layout | None:
    """The layout with the channels in the other place, of one that has them first or last."""
    rest = layout.axes[1:].replace("c", "")
    if layout.axes == f"n{rest}c":
        return layout._replace(axes=f"nc{rest}")
    return layout._replace(axes=f"n{rest}c") if layout.axes == f"nc{rest}" else None


def _check_out(xp: Library, out: Array, shape: tuple[Dim, ...], dtype: str, others: Sequence[Array]) -> None:
    """Refuse memory that the mixed images do not fit, or that holds what they are made of."""
    if xp.dtype(out) != dtype or tuple(out.shape) != shape:
        raise ValueError(
            f"out: expected {dtype} of the shape {shape}, got {xp.dtype(out)} of {tuple(out.shape)}; leave out= out"
        )
    check_apart(xp, out, others)


def check_apart(xp: Library, out: Array, others: Sequence[Array]) -> None:
    """Refuse memory for outputs that holds pixels of the inputs too."""
    if any(other is out or _overlap(xp.memory_span(out), xp.memory_span(other)) for other in others):
        raise ValueError("out: expected memory of its own, got that of the images; nothing mixed is made in place")


def _overlap(one: tuple[int, int] | None, other: tuple[int, int] | None) -> bool:
    return one is not None and other is not None and one[0] < other[1] and other[0] < one[1]
