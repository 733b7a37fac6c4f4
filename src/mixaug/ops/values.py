"""Mix values, such as regression targets and sample weights: their average, weighted by lam."""

from __future__ import annotations

from collections.abc import Sequence

from ..backends import Array, Library
from ..core.units import FLOATS
from . import rows


def mix(xp: Library, y: Array, source: Array | None, index: Array, lam: Array) -> Array:
    """Return sum_k lam[k] * y[index[k]], in the dtype of y (float32 for integers), computed in float32 or float64."""
    dtype = xp.dtype(y)
    if dtype not in FLOATS and "int" not in dtype and dtype != "bool":
        raise TypeError(f"values: expected integers, bools or {', '.join(FLOATS)}, got {dtype}; convert them first")
    rows.check(xp, y, source, index, "values")
    out = weighted(xp, rows.gather(xp, y, source, index), lam, "float64" if dtype == "float64" else "float32")
    return xp.cast(out, y.dtype) if dtype in FLOATS else out


def weighted(xp: Library, parts: Sequence[Array], lam: Array, precision: str) -> Array:
    """Return sum_k lam[k] * parts[k], computed in dtype `precision`."""
    terms = [rows.over(xp.cast(lam[j], precision), part) * xp.cast(part, precision) for j, part in enumerate(parts)]
    return sum(terms[1:], terms[0])
