"""What an undeclared field may be, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from .. import backends
from ..core.units import DTYPES
from ..ops.masks import DTYPES as IDS


def is_list(x: Any) -> bool:
    """Return whether a field is a list, or a NumPy array of strings or objects, which no other library has."""
    return isinstance(x, list) or (isinstance(x, np.ndarray) and x.dtype.kind in "OSU")


def refuse(name: str, x: Any, expected: str) -> NoReturn:
    """Raise a ValueError for a part of a batch of another kind, with the ways to declare it."""
    xp = backends.find(x)
    came = f"{xp.dtype(x)} of the shape {tuple(x.shape)}" if xp else type(x).__name__
    raise ValueError(f"{name}: expected {expected}, got {came}; say what it is: {ways_out(name, x)}")


def ways_out(name: str, x: Any) -> str:
    """Return how to declare a part of a batch, with the likely kind first."""
    likely, *others = _readings(x)
    return f"pass fields={{{name!r}: {likely}}} (or {', '.join(others)})"


def _readings(x: Any) -> list[str]:
    """Return the kinds that a part of a batch may have, as code."""
    xp, numbers = backends.find(x), ["'values'", "'keep'"]
    if is_list(x):
        return ["'keep'", "'per_source'"]
    if xp is None:
        return ["'images'", "'labels'", "'masks'", *numbers]
    dtype, axes = xp.dtype(x), len(x.shape)
    if axes < 3:
        return ["'labels'", *numbers] if dtype in IDS else ["'values'", "'labels'", "'keep'"]
    images = [] if dtype not in DTYPES else ["ma.Images(layout='nhw')" if axes == 3 else "'images'"]
    if dtype not in IDS:
        return [*images, f"ma.Masks(soft=True, layout={xp.layout!r})" if axes == 4 else "ma.Masks(soft=True)", *numbers]
    colours = axes == 4 and 3 in (x.shape[1], x.shape[-1])
    return [*images, "'masks'", *numbers] if images and colours else ["'masks'", *images, *numbers]


def is_called(path: str, name: str) -> bool:
    """Return whether a name is the last part of a path, or the whole path."""
    return path == name or path.endswith(f"/{name}")


def quoted(names: Iterable[str]) -> str:
    """Return names of fields for a message; the name of a single array is empty."""
    return ", ".join(repr(name) if name else "an array without a name" for name in names)
