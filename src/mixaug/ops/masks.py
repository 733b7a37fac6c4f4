"""Mix masks of class ids: the id of the heaviest source at each pixel, or the share of each class."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from .. import kernels
from ..backends import Array, Library
from ..core.hints import short
from ..core.layout import Layout, check_axes
from ..core.regions import Dense, Paste, Region, Size, covered, inside
from ..core.rows import Rows
from ..core.scale import same, scaled
from ..core.units import FLOATS, Target, Units
from . import images, labels
from .rows import check, gather, merge, over

DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def mix(
    xp: Library,
    rows: Rows,
    region: Region,
    drawn_for: Size,
    layout: Layout,
    num_classes: int | None,
    ignore_index: int | None,
) -> Array:
    """Return the id of the source with the greatest weight at each pixel, in the shape and dtype of the masks."""
    masks, form, size = rows.example, layout.form, layout.size(xp, rows.example)
    check_once = partial(_check, xp, rows, drawn_for, layout, num_classes, ignore_index)
    if num_classes is not None or ignore_index is not None or not same(drawn_for, size) or not form.is_plain:
        check_once()
    if not form.is_plain:
        rows = rows.map(partial(form.view, xp))
        region, drawn_for = form.region(xp, region, drawn_for, rows.example)
        size = form.size(xp, rows.example)
    place = form.place
    fitted = scaled(xp, region, drawn_for, size)
    if _is_cut(xp, rows.example, region, fitted):
        # the class of a pixel in a hole is still known: that of the base sample
        without_holes = replace(fitted, hole=None, fill=None) if isinstance(fitted, Paste) else fitted
        mixed = kernels.images(xp, rows, without_holes, Target(place, Units(xp.dtype(masks))), check_once)
        if mixed is not None:
            return form.restore(xp, mixed, masks)
    if form.is_plain:
        check_once()
    sources = gather(xp, *rows, images.used(region))
    views = images.views(xp, sources, region, drawn_for, place)
    if isinstance(fitted, Dense):
        weights = [images.per_channel(fitted.weight[j], place) for j in range(fitted.sources)]
        out = heaviest(xp, weights, views)
    else:
        out = _paste(xp, sources, views, rows.index, fitted, size, place)
    return form.restore(xp, xp.copy(out) if out is rows.example else out, masks)


def _is_cut(xp: Library, m: Array, region: Region, fitted: Region) -> bool:
    """Whether each pixel is copied from one source, as the kernels for images do."""
    unresized = fitted is region or all(source_box is None for source_box in fitted.source_box)
    copied = unresized and xp.dtype(m) in DTYPES and xp.dtype(m) != "bool"
    if isinstance(fitted, Dense):
        return copied and fitted.fill is None and xp.dtype(fitted.weight) == "bool"
    return copied and fitted.background is None


def _paste(
    xp: Library, sources: list[Array], views: list[Array], index: Array, fitted: Paste, spatial: Size, place: str | None
) -> Array:
    base = out = sources[0]
    if fitted.background is not None:
        blended = merge(xp, index, fitted.background)
        out = heaviest(xp, [over(blended[j], base) for j in range(fitted.sources)], sources)
    for box, pasted in zip(fitted.box, views, strict=True):
        if box is not None:
            out = xp.where(images.per_channel(inside(xp, box, spatial), place), pasted, out)
    if holes := fitted.holes:
        out = xp.where(images.per_channel(covered(xp, holes, spatial), place), base, out)
    return out


def heaviest(xp: Library, weights: list[Array], values: list[Array]) -> Array:
    """Return the value with the greatest weight, the first of equals."""
    out, best = values[0], weights[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        if xp.dtype(weight) == "bool":
            out = xp.where(weight, value, out)
        else:
            out, best = xp.where(weight > best, value, out), xp.maximum(weight, best)
    return out


def shares(
    xp: Library,
    rows: Rows,
    region: Region,
    drawn_for: Size,
    layout: Layout,
    axes: str,
    num_classes: int | None,
    ignore_index: int | None,
) -> Array:
    """Return the share of each class at each pixel, float32 (n, *size, num_classes); ignored sources do not count.

    `layout` is that of the masks. Their channel axis has length 1 for ids, and one channel for each class for floats
    and bools. `axes` is the layout of the output.
    """
    if is_soft(xp, rows.example, layout, num_classes):
        return _blended(xp, rows, region, drawn_for, layout, axes, num_classes, ignore_index)
    if num_classes is None:
        raise ValueError(
            "masks: expected num_classes for soft masks of class ids, got None; pass num_classes=, as in "
            "ma.Masks(num_classes=21, soft=True)"
        )
    if "c" in layout.axes:
        place = layout.axes.index("c")
        _check_one_channel(rows.example, layout)
        rows = rows.map(lambda x: _without(x, place))
        layout = layout._replace(axes=layout.axes.replace("c", ""))
    _check(xp, rows, drawn_for, layout, num_classes, ignore_index)
    form = layout.whole
    rows = rows.map(partial(form.view, xp))
    region, drawn_for = form.region(xp, region, drawn_for, rows.example)
    fitted = scaled(xp, region, drawn_for, xp.shape(rows.example)[1:])
    views = images.shown(xp, gather(xp, *rows), region, fitted, drawn_for, None)
    weights = targets(xp, fitted, rows.example)
    if ignore_index is not None:
        zero = xp.full((), 0.0, "float32")
        weights = [
            xp.where(labels.is_id(xp, ids, ignore_index), zero, weight)
            for weight, ids in zip(weights, views, strict=True)
        ]
        total = sum(weights[1:], weights[0])
        total = xp.where(total > 0, total, xp.full((), 1.0, "float32"))
        weights = [weight / total for weight in weights]
    first = axes[1] == "c"
    terms = [
        labels.spread(xp, ids, weight, num_classes, first, ignore_index)
        for ids, weight in zip(views, weights, strict=True)
    ]
    letters = f"nc{form.block}" if first else f"n{form.block}c"
    return _in_order(xp, sum(terms[1:], terms[0]), letters, axes)


def is_soft(xp: Library, m: Array, layout: Layout, num_classes: int | None) -> bool:
    """Whether masks hold shares of classes: floats, or bools with a channel for each class."""
    dtype = xp.dtype(m)
    return dtype in FLOATS or (dtype == "bool" and "c" in layout.axes and layout.channels(m) in (num_classes, None))


def _blended(
    xp: Library,
    rows: Rows,
    region: Region,
    drawn_for: Size,
    layout: Layout,
    axes: str,
    num_classes: int | None,
    ignore_index: int | None,
) -> Array:
    """Return sum_k w[k] * m[index[k]] for masks m of shares, float32, with a channel axis."""
    if "c" not in layout.axes and num_classes in (None, 1):  # the share of a single class
        place, layout = axes.index("c"), layout._replace(axes=axes)
        rows = rows.map(lambda x: x[(*[slice(None)] * place, None)])
    m = rows.example
    if "c" not in layout.axes or layout.channels(m) not in (num_classes or layout.channels(m), None):
        raise ValueError(
            f"masks: expected a channel for each of {num_classes or 'the'} classes with soft=True, got {xp.dtype(m)} "
            f"of the shape {tuple(m.shape)} in the layout {layout.axes!r}; cast ids to int32, or add a channel axis"
        )
    if ignore_index is not None:
        raise ValueError(
            f"ignore_index: expected None for masks of shares, got {ignore_index}; set ignored pixels to zeros"
        )
    _check_place(xp, rows, drawn_for, layout)
    form, dtype = layout.whole, "float64" if xp.dtype(m) == "float64" else "float32"
    rows = rows.map(partial(form.view, xp))
    region, drawn_for = form.region(xp, region, drawn_for, rows.example)
    fitted = scaled(xp, region, drawn_for, xp.shape(rows.example)[1:-1])
    views = images.shown(xp, gather(xp, *rows), region, fitted, drawn_for, "last")
    weights = targets(xp, fitted, rows.example[..., 0])
    weights, zero = [xp.cast(weight, dtype)[..., None] for weight in weights], xp.full((), 0.0, dtype)
    terms = [  # invisible pixels may be inf or nan
        weight * xp.where(weight > 0, xp.cast(x, dtype), zero) for weight, x in zip(weights, views, strict=True)
    ]
    return _in_order(xp, sum(terms[1:], terms[0]), form.letters, layout.axes)


def _in_order(xp: Library, x: Array, letters: str, wanted: str) -> Array:
    """Transpose an array from one layout to another."""
    return x if letters == wanted else xp.transpose(x, [letters.index(letter) for letter in wanted])


def targets(xp: Library, fitted: Region, m: Array) -> list[Array]:
    """Return the weight of each source at each pixel of masks, float32 (n, *size); in holes, the base sample has 1."""
    weights = weights_of(xp, fitted, m)
    if fitted.fill is not None:
        weights[0] = xp.where(sum(weights[1:], weights[0]) > 0, weights[0], xp.full((), 1.0, "float32"))
    return weights


def weights_of(xp: Library, fitted: Region, m: Array) -> list[Array]:
    """Return the weight of each source at each pixel of masks (n, *size), float32 (n, *size)."""
    n, *spatial = xp.shape(m)
    dense = fitted.pixel_weights(xp, n, tuple(spatial))
    return [xp.cast(dense[j], "float32") for j in range(fitted.sources)]


def without_channel(m: Array, layout: Layout) -> Array:
    """Remove a channel axis of length 1, if there is one."""
    if "c" not in layout.axes:
        return m
    _check_one_channel(m, layout)
    return _without(m, layout.axes.index("c"))


def _without(m: Array, axis: int) -> Array:
    return m[(*[slice(None)] * axis, 0)]


def _check_one_channel(m: Array, layout: Layout) -> None:
    if layout.channels(m) != 1:
        raise ValueError(
            f"masks: expected one channel of class ids in the layout {layout.axes!r}, got the shape {tuple(m.shape)}; "
            "make each channel a separate field"
        )


def _check(
    xp: Library,
    rows: Rows,
    drawn_for: Size,
    layout: Layout,
    num_classes: int | None,
    ignore_index: int | None,
) -> None:
    dtype = xp.dtype(rows.example)
    check_ids(dtype)
    if ignore_index is not None:
        _check_ignored(dtype, ignore_index)
    _check_place(xp, rows, drawn_for, layout)
    if num_classes is not None:
        labels.check_ids(xp, rows.example, labels.check_count(num_classes), ignore_index, "masks")


def check_given(
    xp: Library,
    rows: Rows,
    drawn_for: Size,
    layout: Layout,
    ids: tuple[int | None, int | None] | None,
) -> None:
    """Raise for masks that do not fit the mix; `ids` is (num_classes, ignore_index), or None for masks of shares."""
    if ids is None:
        _check_place(xp, rows, drawn_for, layout)
    else:
        _check(xp, rows, drawn_for, layout, *ids)


def _check_place(xp: Library, rows: Rows, drawn_for: Size, layout: Layout) -> None:
    for array in rows.arrays:
        check_axes(array, layout, "masks")
        images.check_size(xp, array, drawn_for, layout, "masks")
    check(xp, *rows, "masks")


def check_ids(dtype: str, what: str = "masks", way: str = "call mix.masks(m, soft=True)") -> None:
    """Refuse masks whose dtype cannot hold class ids."""
    if dtype not in DTYPES:
        shares = f", or, for shares of classes, {way}" if dtype in FLOATS else ""
        raise TypeError(
            f"{what}: expected class ids of an integer dtype or bool, got {dtype}; cast them to ids, such as "
            f"(m > 0).astype('uint8'){shares}"
        )


def _check_ignored(dtype: str, ignore_index: int) -> None:
    if isinstance(ignore_index, bool) or not hasattr(ignore_index, "__index__"):
        raise TypeError(f"ignore_index: expected an integer, got {short(ignore_index)}; pass an id")
    low, high = (0, 1) if dtype == "bool" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if not low <= ignore_index <= high:
        raise ValueError(
            f"ignore_index: expected an id that {dtype} masks can hold, {low}..{high}, got {ignore_index}; "
            "cast the masks to int32, or leave ignore_index out"
        )
