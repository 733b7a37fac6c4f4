"""Compiled kernels for images, labels and draws: each byte is read once, and each byte of an output written once.

`cpu` (Numba) takes arrays in the memory of the host, `gpu` (Triton) PyTorch's on a GPU. What they do not take, traced
arrays above all, the array library computes, from the same definition. The kernels of the CPU check their arrays
themselves and return None if these do not fit; arrays on a GPU are checked before.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from .. import backends
from ..backends import Array, Library
from ..core.regions import Region, Size, to
from ..core.rows import Rows
from ..core.units import Target
from . import cpu, gpu

_COUNTED = 2**24  #: pixels: of more, float32 numbers of pixels are rounded


def images(xp: Library, rows: Rows, region: Region, target: Target, check: Callable[[], None]) -> Array | None:
    """The mixed images, on their device; None if no kernel takes them. `check` raises if they are wrong."""
    if not _is_on_gpu(xp):
        return cpu.images(xp, rows, region, target)
    check()
    return gpu.mixed(rows._replace(index=backends.to(xp, rows.index)), to(xp, region), target)


def windows(xp: Library, rows: Rows, region: Region, size: Size, target: Target) -> Array | None:
    """Images mixed to outputs of another size; None if no kernel takes them. They have been checked."""
    known = not _is_on_gpu(xp) and all(isinstance(length, int) for length in size)
    return cpu.images(xp, rows, region, target, size) if known else None


def labels(
    xp: Library,
    y: Array,
    source: Array | None,
    index: Array,
    lam: Array,
    num_classes: int | None,
    check: Callable[[], None],
) -> Array | None:
    """Mixed labels of class ids (n,); None if no kernel takes them. `check` raises if they are wrong."""
    if not _is_on_gpu(xp):
        return cpu.labels(xp, y, source, index, lam, num_classes)
    check()
    index, lam = backends.to_each(xp, [index, lam])
    return gpu.labels(y, source, index, lam, num_classes)


def lowest(xp: Library, values: Array, wanted: Array) -> Array | None:
    """recipes.masks.lowest, of that many pixels of each row; None if no kernel computes it."""
    n, *size = xp.shape(values)
    if not all(isinstance(length, int) for length in (n, *size)) or prod(size) > _COUNTED:
        return None
    if _is_on_gpu(xp):
        return gpu.lowest(values, wanted)
    draw = xp.draw_kernels()
    return draw and xp.reshape(draw.lowest(xp.reshape(values, (n, prod(size))), wanted), (n, *size))


def _is_on_gpu(xp: Library) -> bool:
    return xp.display_name.startswith("PyTorch on cuda")
