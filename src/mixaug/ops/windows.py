"""Outputs of another size than their sources: each source box is resized to its box in the output."""

from __future__ import annotations

from dataclasses import replace

from .. import backends, kernels
from ..backends import Array, Dim, Library
from ..core.layout import Layout
from ..core.regions import Paste, Region, Sizes, to
from ..core.rows import Rows
from ..core.scale import nearest, same
from ..core.units import DTYPES, Target, Units, unchanged
from . import images
from .rows import gather


def mix(
    xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout, units: Units, out: Array | None
) -> Array:
    """Mix images that have been checked, with a kernel if there is one."""
    mixed = _by_kernel(xp, rows, region, sizes, layout, Target(layout.form.place, units, out))
    if mixed is not None:
        return mixed
    views, index, region = resized(xp, rows, region, sizes, layout)
    return images.mix(xp, Rows(None, xp.concat(views), index), region, sizes.output, layout, units, out)


def mixed_ids(xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout) -> Array | None:
    """Mix masks of ids that have been checked; None if there is no kernel."""
    if isinstance(region, Paste):  # the class of a pixel in a hole is still known
        region = replace(region, hole=None, fill=None)
    target = Target(layout.form.place, unchanged(xp.dtype(rows.example)))
    return _by_kernel(xp, rows, region, sizes, layout, target)


def _by_kernel(xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout, target: Target) -> Array | None:
    form, dtype = layout.form, xp.dtype(rows.example)
    has_kernel = dtype in DTYPES or (target.units.keep(dtype) and dtype != "bool")  # kernels convert no other dtypes
    if not has_kernel or not form.is_plain or not same(form.size(xp, rows.example), sizes.source):
        return None
    return kernels.windows(xp, rows, region, sizes.output, target)


def resized(xp: Library, rows: Rows, region: Region, sizes: Sizes, layout: Layout) -> tuple[list[Array], Array, Region]:
    """Resize the sources to the size of the outputs.

    Returns:
        views: k arrays, source j of each output, resized.
        index: int32 (k, n), the rows of the sources in the concatenated views.
        region: the region without source boxes.
    """
    index, region = backends.to(xp, rows.index), to(xp, region)
    base = xp.take(rows.others, index[0]) if rows.base is None else rows.base
    sources = gather(xp, base, rows.others, index)
    views = [
        shown(xp, x, (region.box[j], region.source_box[j]), sizes, [layout.axes.index(a) for a in layout.spatial])
        for j, x in enumerate(sources)
        if region.box[j] is not None
    ]
    views += [views[0]] * (len(sources) - len(views))
    k, n = xp.shape(index)
    return views, xp.reshape(xp.arange(k * n), (k, n)), replace(region, source_box=())


def shown(xp: Library, x: Array, view: tuple[Array, Array], sizes: Sizes, axes: list[int]) -> Array:
    """Resize the source box of each row to its box, as `images.look` does, to outputs of another size.

    A field with h pixels for the H of the source has max(1, floor(h * L / H)) pixels for the L of the output.
    """
    box, source_box = view
    for axis, (to_size, of_size, array_axis) in enumerate(zip(*sizes, axes, strict=True)):
        length = xp.shape(x)[array_axis]
        target = length_of(xp, length, to_size, of_size)
        position = nearest(xp, target, to_size)
        pixels = images.source_pixels(xp, position, box[:, axis], source_box[:, axis], of_size)
        if not (same((length,), (of_size,)) and same((target,), (to_size,))):
            offset = xp.cast(xp.arange(target), "int64") - xp.take(nearest(xp, to_size, target), position)
            pixels = images.clipped(xp, xp.take(nearest(xp, of_size, length), pixels) + offset[None, :], length)
        x = xp.take_each(x, pixels, array_axis)
    return x


def length_of(xp: Library, length: Dim, to_size: Dim, of_size: Dim) -> Dim:
    """Return the length of outputs along an axis, for a field of that length."""
    if same((length,), (of_size,)):
        return to_size
    if all(isinstance(value, int) for value in (length, to_size, of_size)):
        return max(length * to_size // of_size, 1)
    length, to_size, of_size = (xp.cast(value, "int64") for value in (length, to_size, of_size))
    return xp.cast(xp.maximum(length * to_size // of_size, 1), "int32")
