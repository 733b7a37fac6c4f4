"""Fused forms of what `apply` does to images and labels: each needed byte is read once, each of an output written once.

`cpu` (Numba) takes arrays that lie on the host, `gpu` (Triton) PyTorch's on a GPU. What they do not take, traced arrays
above all, is done by the library of the arrays, from the same definition.
"""

from __future__ import annotations

from .. import _xp
from .._xp import Array, Library
from ..regions import Region, to
from ..units import Units
from . import cpu, gpu


def images(
    xp: Library,
    x: Array | None,
    source: Array | None,
    parent: Array,
    region: Region,
    channels: str | None,
    units: Units,
    out: Array | None,
) -> Array | None:
    """The mixed images, made where they lie; None where no engine takes them."""
    if _is_on_gpu(xp):
        return gpu.mixed(x, source, _xp.to(xp, parent), to(xp, region), channels, units, out)
    return cpu.images(xp, x, source, parent, region, channels, units, out)


def labels(
    xp: Library, y: Array, source: Array | None, parent: Array, share: Array, num_classes: int | None
) -> Array | None:
    """Mixed labels of class ids (n,); None where no engine takes them, or the host sees ids that are none."""
    if _is_on_gpu(xp):
        parent, share = _xp.to_each(xp, [parent, share])
        return gpu.labels(y, source, parent, share, num_classes)
    return cpu.labels(xp, y, source, parent, share, num_classes)


def _is_on_gpu(xp: Library) -> bool:
    return xp.title.startswith("PyTorch on ")
