"""Values: regression targets, sample weights, anything that is averaged as the pixels are."""

from __future__ import annotations

from .._xp import Array, Library
from . import rows


def mix(xp: Library, y: Array, source: Array | None, parent: Array, share: Array, what: str = "values") -> Array:
    """sum_k share[k] * y[parent[k]], in the dtype of y (float32 for integers), computed in float32 or float64."""
    rows.check(xp, y, source, parent, what)
    dtype = xp.dtype(y)
    precision = "float64" if dtype == "float64" else "float32"
    out = None
    for j, value in enumerate(rows.parents(xp, y, source, parent)):
        weighted = rows.over(xp.cast(share[j], precision), y) * xp.cast(value, precision)
        out = weighted if out is None else out + weighted
    return xp.cast(out, y.dtype) if "float" in dtype else out
