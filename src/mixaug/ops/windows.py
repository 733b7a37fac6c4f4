"""Outputs of another size than their sources: each source in the output's size, seen through its source box."""

from __future__ import annotations

from dataclasses import replace

from .. import backends, kernels
from ..backends import Array, Dim, Library
from ..core.layout import Layout
from ..core.regions import Paste, Region, Sizes, to
from ..core.rows import Rows
from ..core.scale import home, same
from ..core.units import DTYPES, Target, Units, unchanged
from . import images
from .rows import gather


def mix(
    xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout, units: Units, out: Array | None
) -> Array:
    """The mixed images, which have been checked: by a kernel, or else by the library."""
    mixed = _by_kernel(xp, rows, region, sizes, layout, Target(layout.form.place, units, out))
    if mixed is not None:
        return mixed
    views, index, region = apart(xp, rows, region, sizes, layout)
    return images.mix(xp, Rows(None, xp.concat(views), index), region, sizes.output, layout, units, out)


def mixed_ids(xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout) -> Array | None:
    """Mixed masks of ids, which have been checked; None where no kernel takes them."""
    if isinstance(region, Paste):  # what holes cover is still known
        region = replace(region, hole=None, fill=None)
    target = Target(layout.form.place, unchanged(xp.dtype(rows.example)))
    return _by_kernel(xp, rows, region, sizes, layout, target)


def _by_kernel(xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout, target: Target) -> Array | None:
    form, dtype = layout.form, xp.dtype(rows.example)
    known = dtype in DTYPES or (target.units.keep(dtype) and dtype != "bool")  # others are not converted by kernels
    if not known or not form.is_plain or not same(form.size(xp, rows.example), sizes.source):
        return None
    return kernels.windows(xp, rows, region, sizes.output, target)


def apart(xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout) -> tuple[list[Array], Array, Region]:
    """The same mix of sources that are as large as the outputs.

    Returns:
        k arrays, those that each output sees of its sources; int32 (k, n), their rows once they are joined; and the
        region, without source boxes.
    """
    index, region = backends.to(xp, rows.index), to(xp, region)
    base = xp.take(rows.others, index[0]) if rows.base is None else rows.base
    sources = gather(xp, base, rows.others, index)
    views = [
        shown(xp, one, (region.box[j], region.source_box[j]), sizes, [layout.axes.index(a) for a in layout.spatial])
        for j, one in enumerate(sources)
        if region.box[j] is not None
    ]
    views += [views[0]] * (len(sources) - len(views))
    k, n = xp.shape(index)
    return views, xp.reshape(xp.arange(k * n), (k, n)), replace(region, source_box=())


def shown(xp: Library, x: Array, view: tuple[Array, Array], sizes: Sizes, axes: list[int]) -> Array:
    """What each output sees of its row of x through a box and a source box: `images.look` for sources of another size.

    A field that has h pixels where the source has H has floor(h * L / H) where the output has L, 1 or more.
    """
    box, source_box = view
    for axis, (to_size, of_size, at_axis) in enumerate(zip(*sizes, axes, strict=True)):
        length = xp.shape(x)[at_axis]
        length_out = length_of(xp, length, to_size, of_size)
        own = home(xp, length_out, to_size)
        pixels = images.shown_pixels(xp, own, box[:, axis], source_box[:, axis], of_size)
        if not (same((length,), (of_size,)) and same((length_out,), (to_size,))):
            off = xp.cast(xp.arange(length_out), "int64") - xp.take(home(xp, to_size, length_out), own)
            pixels = images.within(xp, xp.take(home(xp, of_size, length), pixels) + off[None, :], length)
        x = xp.take_each(x, pixels, at_axis)
    return x


def length_of(xp: Library, length: Dim, to_size: Dim, of_size: Dim) -> Dim:
    """How long the outputs of a field of that length are."""
    if same((length,), (of_size,)):
        return to_size
    if all(isinstance(one, int) for one in (length, to_size, of_size)):
        return max(length * to_size // of_size, 1)
    length, to_size, of_size = (xp.cast(one, "int64") for one in (length, to_size, of_size))
    return xp.cast(xp.maximum(length * to_size // of_size, 1), "int32")
